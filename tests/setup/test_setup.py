"""The set-up as a person sees it: what it says while it works, and what to do when a step fails.

A checkout of its own with a virtual environment that only acts as one: no package is installed.
"""

import ast
import importlib.util
import io
import os
import pty
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from app.builds.advice import advise

ROOT = Path(__file__).parents[2]
PACKAGING = ROOT / "packaging"
BUILDS = ROOT / "app" / "builds"
SECONDS = 60

PYTHON = f"""#!{sys.executable}
import os, sys
step = "engine" if "llama-cpp-python" in sys.argv else "packages" if "-e" in sys.argv else "selftest"
if step == "engine":
    print("Collecting llama-cpp-python")
    for at in range(1, 4):
        print(f"[{{at}}/3] Building CXX object x{{at}}.o")
if os.environ.get("FAILS_IN") == step:
    print(os.environ["SAYS"])
    sys.exit(1)
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "check out"
    (root / "packaging").mkdir(parents=True)
    for path in (
        *PACKAGING.glob("*.py"),
        PACKAGING / "constraints.txt",
        ROOT / "app" / "__init__.py",
        *BUILDS.glob("*.py"),
    ):
        (root / path.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
        (root / path.relative_to(ROOT)).write_bytes(path.read_bytes())
    (root / "pyproject.toml").write_text("[project]\n")
    programs = root / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("python", "pip"):
        (programs / name).write_text(PYTHON)
        (programs / name).chmod(0o755)
    return root


def command(checkout: Path) -> list[str]:
    return [sys.executable, str(checkout / "packaging" / "bootstrap.py"), "setup"]


def alone(**environment: str) -> dict[str, str]:
    """Nothing of this machine's programs, so nothing is found missing and no GPU is there."""
    usual = {"PATH": "/nonexistent", "HOME": os.environ.get("HOME", "/"), "TERM": "xterm", "SLIPSTREAM_GPU": "no"}
    return {**usual, **environment}


def set_up(checkout: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(checkout), env=alone(**environment), capture_output=True, text=True, timeout=SECONDS, check=False
    )


def module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, PACKAGING / f"{name}.py")
    assert spec
    assert spec.loader
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def test_each_step_is_named_with_its_number_and_the_second_time_there_is_none(checkout: Path) -> None:
    told = set_up(checkout)
    assert told.returncode == 0, told.stderr
    lines = told.stdout.splitlines()
    assert lines[0] == "step 1 of 3: compiling llama.cpp … (usually about 10 min)"
    assert [line.partition(" in ")[0] for line in lines if "done" in line] == [
        "step 1 of 3: compiling llama.cpp: done",
        "step 2 of 3: installing the Python packages: done",
        "step 3 of 3: trying the engine out: done",
    ]
    assert "[3/3] Building CXX object x3.o" in (checkout / ".venv" / "setup.log").read_text()
    again = set_up(checkout)
    assert (again.returncode, again.stdout) == (0, "")


def test_on_a_terminal_the_line_is_written_over(checkout: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command(checkout), env=alone(), stdout=theirs, stderr=theirs)
    os.close(theirs)
    told = b""
    while True:
        try:
            if not (piece := os.read(ours, 4096)):
                break
        except OSError:  # Linux: the other end is closed
            break
        told += piece
    os.close(ours)
    assert process.wait(SECONDS) == 0, told
    finished = told.decode().split("\r\n")
    assert [line.rsplit("\r")[-1].partition(": done")[0].strip() for line in finished if line] == [
        "step 1 of 3: compiling llama.cpp",
        "step 2 of 3: installing the Python packages",
        "step 3 of 3: trying the engine out",
    ]


@pytest.mark.parametrize(
    ("says", "words"),
    [
        ("[Errno 28] No space left on device", "The disk is full"),
        ("CMake Error: No CMAKE_CXX_COMPILER could be found.", "There is no C++ compiler that works"),
        ("c++: fatal error: Killed signal terminated program cc1plus", "too little memory for the compiler"),
        ("WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError'", "could not be reached"),
        ("ERROR: No matching distribution found for llama-cpp-python", "lacks a package"),
        ("CUDA compiler identification is unknown", "CUDA's compiler does not work here"),
        ("W: Failed to fetch http://deb.example/  Temporary failure resolving 'deb.example'", "apt could not fetch"),
        ("Err:1 http://deb.example trixie InRelease", "apt could not fetch"),
        ("E: Unable to locate package libgl1", "apt does not know a package"),
        ("E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 7", "Another program is installing"),
        ("E: dpkg was interrupted, you must manually run 'dpkg --configure -a'", "dpkg --configure -a"),
        ("E: You don't have enough free space in /var/cache/apt/archives/.", "The disk is full"),
        ("it is a mystery", "The lines above say why"),
    ],
)
def test_what_a_tool_said_becomes_what_to_do(says: str, words: str) -> None:
    told = advise(["Collecting x", says, "error: subprocess-exited-with-error"], None)
    assert words in told
    assert "run the same command again" in told


def test_a_step_that_fails_shows_its_last_lines_and_goes_on_later(checkout: Path) -> None:
    says = "[Errno 28] No space left on device"
    failed = set_up(checkout, FAILS_IN="engine", SAYS=says)
    assert failed.returncode == 1
    assert "step 1 of 3: compiling llama.cpp failed after" in failed.stderr
    assert f"  | {says}\n" in failed.stderr
    assert failed.stderr.splitlines()[-1].startswith("The disk is full. ")
    assert ".venv/setup.log" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert set_up(checkout).returncode == 0  # once that is mended


def test_wrong_cmake_arguments_are_named() -> None:
    told = advise(["CMake Error at x:1"], "-DGGML_NONSENSE=perhaps")
    assert "CMAKE_ARGS is “-DGGML_NONSENSE=perhaps”" in told


def test_where_a_line_cannot_be_written_over_there_is_one_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step_line = module("step_line")
    says = "for i in range(2000): print(f'[{i}/2000] Building')"
    told = {}
    for quiet in (60.0, 0.0):
        monkeypatch.setattr(step_line, "QUIET", quiet)
        stream = io.StringIO()
        with step_line.StepLine(3, 5, "compiling llama.cpp", tmp_path / "log", "about 10 min", stream) as line:
            line.run(sys.executable, "-c", says, cwd=tmp_path)
        told[quiet] = stream.getvalue().splitlines()
    assert len(told[60.0]) == 2
    assert told[0.0][-2].startswith("step 3 of 5: compiling llama.cpp, 1999 of 2000 files (")


def test_lines_of_pip_and_of_each_build_tool_are_understood() -> None:
    line = module("step_line").StepLine(1, 1, "x", Path("log"), stream=io.StringIO())
    heard = {}
    for said in (
        "  [57/243] Building CXX object",
        "  [ 23%] Building CXX object",
        "Collecting torch==2.13.*",
        "  Downloading torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl (899.8 MB)",
        "Installing collected packages: a, b",
        "WARNING: Retrying (Retry(total=4, connect=None)) after connection broken",
    ):
        line.hear(said)
        heard[said] = line.detail
    assert list(heard.values()) == [
        "57 of 243 files",
        "23 %",
        "looking for torch",
        "downloading torch, 899.8 MB",
        "installing",
        "the package index does not answer, trying again",
    ]


OF_PYTHON_2 = (ast.JoinedStr, ast.NamedExpr, ast.AnnAssign, ast.AsyncFunctionDef, ast.Nonlocal, ast.Match, ast.Starred)


def test_an_old_python_can_read_what_tells_it_that_it_is_too_old() -> None:
    source = (PACKAGING / "bootstrap.py").read_bytes()
    assert source.isascii(), "Python 2 refuses other bytes"
    nodes = [*ast.walk(ast.parse(source))]
    assert not [node for node in nodes if isinstance(node, OF_PYTHON_2)]
    assert not [node for node in nodes if isinstance(node, ast.FunctionDef) and node.returns]
    assert not [node for node in nodes if isinstance(node, ast.arg) and node.annotation]
    assert not [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module == "__future__"]


@pytest.mark.parametrize("version", [(2, 7, 18, "final", 0), (3, 6, 15, "final", 0), (3, 10, 13, "final", 0)])
def test_an_old_python_is_told_what_to_do(version: tuple[object, ...]) -> None:
    code = f"import sys; sys.version_info = {version}; sys.path.insert(0, {str(PACKAGING)!r}); "
    code += "import bootstrap; sys.exit(bootstrap.main())"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=SECONDS, check=False)
    assert told.returncode == 1
    assert f"Python 3.11 or newer is needed; this is {version[0]}.{version[1]}." in told.stderr
    assert "PYTHON=" in told.stderr


def test_without_root_the_missing_packages_are_named_and_what_comes_then(monkeypatch: pytest.MonkeyPatch) -> None:
    preparation = module("preparation")
    monkeypatch.setattr(preparation.os, "geteuid", lambda: 1000)
    with pytest.raises(preparation.SetupError) as refusal:
        preparation.require_root(["build-essential"])
    assert "sudo apt-get install -y --no-install-recommends build-essential" in str(refusal.value)
    assert str(refusal.value).endswith("then run the same command again.")


def test_what_a_command_before_said_is_part_of_the_failure(tmp_path: Path) -> None:
    """`apt-get update` warns and ends well; then the packages are not found."""
    step_line = module("step_line")
    line = step_line.StepLine(1, 1, "installing", tmp_path / "log", stream=io.StringIO())
    line.run(sys.executable, "-c", "print('Err:1 http://deb.example trixie InRelease')", cwd=tmp_path)
    with pytest.raises(step_line.StepFailed) as failed:
        line.run(sys.executable, "-c", "print('E: Unable to locate package x'); exit(100)", cwd=tmp_path)
    assert "apt could not fetch" in advise(failed.value.lines, None)


def test_what_is_compiled_for_tests_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else each of their thousands of processes would compile all of the application anew."""
    preparation = module("preparation")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    told: list[bool] = []
    monkeypatch.setattr(preparation, "call", lambda *_: told.append("PYTHONDONTWRITEBYTECODE" in os.environ) or 0)
    preparation.perform("test", [])
    assert told == [False, False]
