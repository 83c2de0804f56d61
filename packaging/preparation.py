"""Makes this checkout ready to run: system libraries, virtual environment, the native engine, the packages.

Standard library only, for it runs before anything is installed. bootstrap.py calls it, and has looked at the Python.
Does nothing when nothing has changed.
"""

from __future__ import annotations

import argparse
import ctypes.util
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from step_line import StepLine

    from app.builds.way import Way

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(1, str(ROOT))  # for app.builds, of which what is imported here needs the standard library alone
VENV = ROOT / ".venv"
CONSTRAINTS = ROOT / "packaging" / "constraints.txt"
LOG = VENV / "setup.log"
STAMP = VENV / "slipstream.stamp"
ENGINE_STAMP = VENV / "engine.stamp"
# a module's tests stay together and share what it makes ready once; in the order of the folders, for the last are short
# one worker more than cores: tests wait for processes, windows and clocks, too
PARALLEL = ["-n", str(min(4, 1 + (os.cpu_count() or 1))), "--dist", "loadfile", "--no-loadscope-reorder"]

EXIT_INTERRUPTED = 130
GPU_KINDS = ("CUDA", "HIP", "VULKAN", "SYCL")

# what Qt needs of Debian and Ubuntu: the library as the linker knows it, and its package
QT_LIBRARIES = {
    "GL": "libgl1",
    "EGL": "libegl1",
    "X11": "libx11-6",
    "xkbcommon": "libxkbcommon0",
    "dbus-1": "libdbus-1-3",
    "fontconfig": "libfontconfig1",
    "freetype": "libfreetype6",
    "glib-2.0": "libglib2.0-0",
    "gssapi_krb5": "libgssapi-krb5-2",
    "xcb-cursor": "libxcb-cursor0",
    "xcb-icccm": "libxcb-icccm4",
    "xcb-keysyms": "libxcb-keysyms1",
    "xcb-image": "libxcb-image0",
    "xcb-render-util": "libxcb-render-util0",
    "xkbcommon-x11": "libxkbcommon-x11-0",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "task", choices=["setup", "engine", "run", "test", "gpu-test", "real", "clients", "check", "bench"]
    )
    parser.add_argument("arguments", nargs="*", help="handed on to slipstream, pytest or the clients")
    options = parser.parse_args()
    try:
        is_for_tests = options.task in ("test", "gpu-test", "real", "clients", "check")
        setup(is_for_tests, rebuild_engine=options.task == "engine")
        return perform(options.task, options.arguments)
    except SetupError as error:
        return fail(str(error))
    except KeyboardInterrupt:
        return 130


class SetupError(Exception):
    """Something that this script may not do by itself; says what to do."""


def fail(sentence: str) -> int:
    print(f"slipstream: {sentence}", file=sys.stderr)
    return 1


def perform(task: str, arguments: list[str]) -> int:
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # every process would compile all of it anew: a suite has thousands
    if task == "run":
        return run(arguments)
    if task in ("test", "real"):
        call(
            tool("python"), "-m", "tests.real.things", *(["--all"] if task == "real" else [])
        )  # the tests tell a failure
    if task == "real":
        return call(tool("python"), "-m", "tests.bench.real", *arguments)
    if task == "gpu-test":
        return call(tool("python"), "-m", "tests.gpu.stand_in", *arguments)
    if task == "clients":
        return call(tool("python"), "-m", "tests.clients", *arguments)
    if task == "test":
        return call(tool("python"), "-m", "pytest", *PARALLEL, *arguments)
    if task == "check":
        return check()
    if task == "bench":
        return call(tool("slipstream"), "bench", *arguments)
    return 0


def run(arguments: list[str]) -> int:
    """The window, or the demo where there is no display for one; before that, a build for the GPU if it lies idle."""
    if not arguments and not is_refused():
        code = call(tool("slipstream"), "builds", "--offer")
        if code == EXIT_INTERRUPTED:
            return code
    if arguments or has_display():
        return call(tool("slipstream"), *arguments)
    print("There is no display here, so the window cannot open. This is `slipstream demo` instead:\n", flush=True)
    return call(tool("slipstream"), "demo")


def has_display() -> bool:
    return sys.platform in ("win32", "darwin") or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))


def check() -> int:
    """All checks, the quick ones first; every one runs, the first failure is the exit code."""
    commands = [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy"],
        ["lint-imports"],
        ["pytest", *PARALLEL],
    ]
    codes = [call(tool(name), *arguments) for name, *arguments in commands]
    return next((code for code in codes if code), 0)


def setup(is_for_tests: bool, rebuild_engine: bool) -> None:
    """Raises SetupError with what to do. Silent when nothing is to be done."""
    packages = missing_packages(is_for_tests)
    require_root(packages)
    steps: list[tuple[str, Callable[[StepLine], None], str]] = []  # what it does, its work, how long that takes usually
    if packages:
        steps.append((f"installing system packages: {' '.join(packages)}", partial(install_packages, packages), ""))
    if not tool("pip").exists():  # an environment that was cut off half-way has none
        steps.append(("creating the virtual environment in .venv", create_environment, ""))
    is_other = rebuild_engine or wants_other_engine()
    if is_other or not is_current():
        environment = engine_environment()
        is_for_gpu = any(f"GGML_{kind}=" in environment.get("CMAKE_ARGS", "") for kind in GPU_KINDS)
        usually = "more than 10 min for a GPU" if is_for_gpu else "about 10 min"
        compile_ = partial(build_engine, environment=environment, use_cache=not is_other)
        steps.append(("compiling llama.cpp", compile_, usually))
        steps.append(("installing the Python packages", install_slipstream, "2 min"))
        steps.append(("trying the engine out", partial(judge_engine, environment), ""))
    perform_steps(steps)


def perform_steps(steps: list[tuple[str, Callable[[StepLine], None], str]]) -> None:
    """Raises SetupError with the last lines of a step that failed, and what to do."""
    from step_line import StepFailed, StepLine

    from app.builds.advice import advise, last_lines

    VENV.mkdir(exist_ok=True)
    LOG.write_bytes(b"")
    for number, (doing, work, usually) in enumerate(steps, 1):
        try:
            with StepLine(number, len(steps), doing, LOG, usually) as line:
                work(line)
        except StepFailed as failed:
            raise SetupError(
                f"{failed.title} The last lines of its output, all of it in {failed.log}:\n"
                f"{last_lines(failed.lines)}\n{advise(failed.lines, os.environ.get('CMAKE_ARGS'))}"
            ) from None


def is_current() -> bool:
    return STAMP.is_file() and STAMP.read_text() == fingerprint()


def wants_other_engine() -> bool:
    """CMAKE_ARGS are given, and the engine that is installed was built with others."""
    wanted = os.environ.get("CMAKE_ARGS")
    return wanted is not None and ENGINE_STAMP.is_file() and ENGINE_STAMP.read_text() != wanted


def fingerprint() -> str:
    files = [ROOT / "pyproject.toml", CONSTRAINTS, Path(__file__)]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def create_environment(line: StepLine) -> None:
    line.run(sys.executable, "-m", "venv", VENV, cwd=ROOT)


def build_engine(line: StepLine, *, environment: dict[str, str], use_cache: bool) -> None:
    fresh = [] if use_cache else ["--force-reinstall", "--no-cache-dir", "--no-deps"]
    pip(line, "-v", *fresh, "llama-cpp-python", environment=environment)  # -v: the build's own lines, as they come


def install_slipstream(line: StepLine) -> None:
    # a plain path entry: setuptools' own finder costs each of our processes 15 ms of its start
    pip(line, "--config-settings", "editable_mode=compat", "-e", f"{ROOT}[dev]")


def judge_engine(environment: dict[str, str], line: StepLine) -> None:
    """pip's cache does not look at compiler flags: a cached build may be one that crashes here."""
    if call(tool("python"), "-m", "backends.llama.selftest", quiet=True) != 0:
        line.detail = "the cached build of llama.cpp does not work on this machine, building it anew"
        build_engine(line, environment=environment, use_cache=False)
        if call(tool("python"), "-m", "backends.llama.selftest") != 0:
            print("\nIt still fails its self-test. Slipstream will say so, and run with what works.", flush=True)
    ENGINE_STAMP.write_text(os.environ.get("CMAKE_ARGS", ""))
    STAMP.write_text(fingerprint())


def engine_environment() -> dict[str, str]:
    """What the person has set in the environment stands. A GPU whose compiler is missing gets its build later, beside
    this one (`slipstream builds`), so that the CPU's is there in any case."""
    from app.builds.flags import with_flags

    way = None if "CMAKE_ARGS" in os.environ else cuda_way()
    if way is None:
        return with_flags(os.environ, platform.machine(), sys.platform)
    print(f"{way.gpu.name} and its compiler are here: building the engine for it {way.does} …", flush=True)
    environment = with_flags(os.environ, platform.machine(), sys.platform, way.cmake_args)
    return {**environment, "CUDACXX": str(way.nvcc)}


def cuda_way() -> Way | None:
    """With a CUDA compiler that is here, and fits card and driver."""
    from app.builds.machine import look
    from app.builds.way import Way, way_for

    if is_refused():
        return None
    way = way_for(look())
    return way if isinstance(way, Way) and way.nvcc else None


def is_refused() -> bool:
    """No engine is to be built for the GPU."""
    return os.environ.get("SLIPSTREAM_GPU", "").casefold() in ("no", "off", "0")


def missing_packages(is_for_tests: bool) -> list[str]:
    """Debian packages that are not there. Elsewhere nothing is known to be missing."""
    if not shutil.which("dpkg-query"):
        return []
    missing = [package for name, package in QT_LIBRARIES.items() if not ctypes.util.find_library(name)]
    if not shutil.which("g++"):
        missing.append("build-essential")
    if not has_fonts():
        missing.append("fonts-dejavu-core")
    if is_for_tests and not shutil.which("Xvfb"):
        missing.append("xvfb")
    if not has_module("ensurepip"):
        missing.append("python3-venv")
    return missing


def has_fonts() -> bool:
    return any(Path("/usr/share/fonts").rglob("*.[to]tf"))


def has_module(name: str) -> bool:
    from importlib.util import find_spec

    return find_spec(name) is not None


def require_root(packages: list[str]) -> None:
    """Raises SetupError with the command to type where this user may not install them."""
    if packages and (not hasattr(os, "geteuid") or os.geteuid() != 0):
        raise SetupError(
            f"some system packages are missing. Install them with:\n  {apt_command(packages)}\n"
            "then run the same command again."
        )


def install_packages(packages: list[str], line: StepLine) -> None:
    apt = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    line.run("apt-get", "update", "-qq", cwd=ROOT, environment=apt)
    line.run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages, cwd=ROOT, environment=apt)


def apt_command(packages: list[str]) -> str:
    return f"sudo apt-get install -y --no-install-recommends {' '.join(packages)}"


def pip(line: StepLine, *arguments: str, environment: dict[str, str] | None = None) -> None:
    command = [tool("python"), "-m", "pip", "install", "--disable-pip-version-check", "-c", CONSTRAINTS, *arguments]
    line.run(*command, cwd=ROOT, environment=environment)


def tool(name: str) -> Path:
    """A program of the virtual environment."""
    if os.name == "nt":
        return VENV / "Scripts" / f"{name}.exe"
    return VENV / "bin" / name


def call(*command: str | Path, quiet: bool = False) -> int:
    sink = subprocess.DEVNULL if quiet else None
    return subprocess.run([str(part) for part in command], cwd=ROOT, stdout=sink, stderr=sink, check=False).returncode
