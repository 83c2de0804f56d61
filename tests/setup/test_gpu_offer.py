"""A driver and no toolkit: the set-up says what it will build, asks or has been told, fetches the compiler, compiles.

`nvidia-smi` and pip only act as such; the commands, the folders and what is remembered are real.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.__main__ import main
from app.builds import machine
from app.paths import Paths
from tests.builds.conftest import own_environment
from tests.setup.test_setup import SECONDS, alone, checkout, command

__all__ = ["checkout", "own_environment"]

SMI = """#!/bin/sh
case "$*" in
  *--query-gpu*) echo "NVIDIA GeForce RTX 4090, 580.95.05, 24564, 8.9" ;;
  *) echo "| NVIDIA-SMI 580.95.05   Driver Version: 580.95.05   CUDA Version: 13.0 |" ;;
esac
"""
PIP = '''"""Acts as pip: the compiler's packages arrive, and the compile ends as COMPILES says."""
import json, os, pathlib, sys

target = pathlib.Path(sys.argv[sys.argv.index("--target") + 1])
with open(os.environ["PIP_CALLS"], "a") as calls:
    names = ("CMAKE_ARGS", "CUDACXX")
    calls.write(json.dumps({"wanted": sys.argv[-1], **{name: os.environ.get(name) for name in names}}) + "\\n")
if sys.argv[-1].startswith("cuda-toolkit"):
    for name in ("bin/nvcc", "lib/libcudart.so.13", "lib/libcublas.so.13", "lib/libcublasLt.so.13"):
        path = target / "nvidia" / "cu13" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
else:
    print("  [1/312] Building CUDA object acc.cu.o", flush=True)
    sys.exit("c++: fatal error: Killed signal terminated program cc1plus")
'''


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the acting pip notes what it was asked for."""
    programs, modules = tmp_path / "bin", tmp_path / "modules" / "pip"
    programs.mkdir()
    modules.mkdir(parents=True)
    (programs / "nvidia-smi").write_text(SMI)
    (programs / "c++").write_text("#!/bin/sh\n")
    for program in programs.iterdir():
        program.chmod(0o755)
    (modules / "__init__.py").write_text("")
    (modules / "__main__.py").write_text(PIP)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}/bin")
    monkeypatch.setenv("PYTHONPATH", str(modules.parent))
    monkeypatch.setenv("PIP_CALLS", str(tmp_path / "calls"))
    monkeypatch.delenv("SLIPSTREAM_GPU", raising=False)
    monkeypatch.delenv("CMAKE_ARGS", raising=False)
    monkeypatch.setattr(machine, "TOOLKITS", ())  # this machine may have one
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield tmp_path / "calls"
    for number, handler in before.items():
        signal.signal(number, handler)


def asked(calls: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in calls.read_text().splitlines()] if calls.exists() else []


def test_it_says_what_it_will_do_and_does_it_up_to_the_compile(calls: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["builds", "--offer"]) == 0, "all else works on the CPU"
    told = capsys.readouterr()
    assert told.out.startswith(
        "The GPU (NVIDIA GeForce RTX 4090) needs an engine build of its own. Slipstream makes it for this card alone, "
        "with the CUDA 13.0 compiler from PyPI (0.7 GB, without root); the CPU's stays beside it. "
    )
    compiler, engine = asked(calls)
    assert compiler["wanted"] == "cuda-toolkit[nvcc,crt,nvvm,cccl,cudart,cublas]==13.0.*"
    assert engine["wanted"].startswith("llama-cpp-python==")
    assert "-DGGML_CUDA=on -DCMAKE_CUDA_ARCHITECTURES=89-real" in engine["CMAKE_ARGS"]
    assert engine["CUDACXX"].endswith("/nvidia/cu13/bin/nvcc")
    assert "slipstream: Fetch the compiler (1 of 3)" in told.err
    assert "slipstream: Compile llama.cpp (2 of 3)" in told.err
    assert "is not used, because the build for it failed. " in told.err
    assert "There was too little memory for the compiler" in told.err


def test_a_failure_is_told_at_the_next_start_and_not_run_into_again(
    calls: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["builds", "--offer"])
    capsys.readouterr()
    assert main(["builds", "--offer"]) == 0
    assert "is not used, because the build for it failed" in capsys.readouterr().err
    assert len(asked(calls)) == 2
    assert main(["builds", "--make"]) == 1, "a person's word is another matter"
    assert len(asked(calls)) == 4


def test_who_says_no_is_not_asked_again(
    calls: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLIPSTREAM_GPU", "no")
    main(["builds", "--offer"])
    monkeypatch.delenv("SLIPSTREAM_GPU")
    capsys.readouterr()
    assert main(["builds", "--offer"]) == 0
    told = capsys.readouterr()
    assert told.out == ""
    assert "is not used, because no build was made for it. “slipstream builds --make” does it later." in told.err
    assert asked(calls) == []


def test_at_a_terminal_it_asks_first(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.cli.builds._is_terminal", lambda: True)
    questions: list[str] = []

    def answer(question: str) -> str:
        questions.append(question)
        return "n"

    monkeypatch.setattr("builtins.input", answer)
    main(["builds", "--offer"])
    assert questions == ["Build it now? [Y/n] "]
    assert asked(calls) == []


def test_without_a_gpu_nothing_is_said(calls: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (Path(os.environ["PATH"].split(os.pathsep)[0]) / "nvidia-smi").unlink()
    assert main(["builds", "--offer"]) == 0
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "")
    assert asked(calls) == []


def test_what_a_load_says_of_the_gpu_that_lies_idle(calls: Path) -> None:  # noqa: ARG001
    from app.builds.builds import Builds

    paths = Paths.from_environment()
    (note,) = Builds(paths.builds, paths.builds_state_file, paths.logs).prepare()
    assert note.startswith("The GPU (NVIDIA GeForce RTX 4090) is not used, because the engine that is used is built")


SLIPSTREAM = f"""#!{sys.executable}
import sys
print("slipstream", *sys.argv[1:])
"""


@pytest.mark.parametrize("refused", [True, False])
def test_run_offers_the_build_before_the_window(checkout: Path, refused: bool) -> None:
    program = checkout / ".venv" / "bin" / "slipstream"
    program.write_text(SLIPSTREAM)
    program.chmod(0o755)
    gpu = {"SLIPSTREAM_GPU": "no" if refused else "yes"}
    run = [*command(checkout)[:-1], "run"]
    told = subprocess.run(
        run, env=alone(DISPLAY=":9", **gpu), capture_output=True, text=True, timeout=SECONDS, check=True
    )
    said = [line for line in told.stdout.splitlines() if line.startswith("slipstream")]
    assert said == (["slipstream"] if refused else ["slipstream builds --offer", "slipstream"])
