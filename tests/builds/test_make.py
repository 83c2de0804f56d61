"""A build for the GPU is made: its compiler is fetched where it is missing, and what is whole alone is kept."""

import os
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from app.builds import kit
from app.builds.build import Build
from app.builds.commands import CommandFailed, run_command
from app.builds.machine import look
from app.builds.shelf import LIBRARY, Shelf
from app.builds.way import Way, way_for
from app.errors import BuildError, Cancelled
from app.jobs import make_build
from app.jobs.job import JobContext
from app.jobs.make_build import MakeBuild
from app.paths import Paths
from backends.build_report import BuildReport
from backends.child import Progress
from tests.builds.machines import Pretended
from tests.patience import until

SAID = BuildReport("0.5.0", "0.3.36", "", True, ())


@dataclass
class Commands:
    """Stands for pip: writes what it would install. fails: the step that ends with these lines."""

    packages: Sequence[str] = ("bin/nvcc", "lib/libcudart.so.13", "lib/libcublas.so.13", "lib/libcublasLt.so.13")
    libraries: Sequence[str] = (LIBRARY, "libggml-cuda.so")
    fails: list[str] = field(default_factory=list)
    ran: list[list[str]] = field(default_factory=list)
    environments: list[dict[str, str]] = field(default_factory=list)

    def __call__(
        self,
        command: Sequence[str],
        folder: Path,  # noqa: ARG002
        environment: dict[str, str],
        log: Path,
        hear: Callable[[str], None],
        cancelled: threading.Event,
    ) -> None:
        self.ran.append(list(command))
        self.environments.append(environment)
        log.open("ab").close()
        if cancelled.is_set():
            raise Cancelled("Cancelled.")
        target = Path(command[command.index("--target") + 1])
        is_compiler = any(part.startswith("cuda-toolkit") for part in command)
        hear("  [57/243] Building CUDA object")
        if self.fails and not is_compiler:
            raise CommandFailed(self.fails)
        place = target / "nvidia" / "cu13" if is_compiler else target / "llama_cpp" / "lib"
        for name in self.packages if is_compiler else self.libraries:
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_text(name)


class Trial:
    def __init__(self, problem: str | None = None):
        self._problem = problem

    def inspect(self, build: Build, expected: str | None = None) -> BuildReport:
        assert build.is_installed or expected == SAID.version
        return SAID if build.is_installed else BuildReport("0.5.0", "0.3.36", "", True, (), self._problem)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths.below(tmp_path / "home")


def way(pretended: Pretended | None = None) -> Way:
    found = way_for(look((pretended or Pretended().with_nvidia()).probes()))
    assert isinstance(found, Way)
    return found


def work(paths: Paths, commands: Commands, way_: Way | None = None, problem: str | None = None) -> MakeBuild:
    trial = Trial(problem)
    return MakeBuild(way_ or way(), Shelf(paths.builds), trial, paths, "0.3.36", commands)  # type: ignore[arg-type]


def context() -> JobContext:
    return JobContext(lambda *_: None)


def test_the_compiler_comes_first_and_compiles_for_the_card_alone(paths: Paths) -> None:
    commands, told = Commands(), list[tuple[int, Progress]]()
    making = work(paths, commands)
    build = making.run(JobContext(lambda step, progress: told.append((step, progress))))
    assert making.steps == ("Fetch the compiler", "Compile llama.cpp", "Try it out")
    assert [command[-1] for command in commands.ran] == [way().packages[0], "llama-cpp-python==0.3.36"]
    environment = commands.environments[1]
    assert "-DGGML_CUDA=on -DCMAKE_CUDA_ARCHITECTURES=89-real" in environment["CMAKE_ARGS"]
    assert environment["CUDACXX"].endswith("nvidia/cu13/bin/nvcc")
    assert environment["PATH"].startswith(str(Path(environment["CUDACXX"]).parent))
    assert (1, Progress(57 / 243, "57 of 243 files")) in told
    assert build.report is not None
    (_, kept) = Shelf(paths.builds).builds()
    assert (kept.name, kept.kind, kept.made_for) == ("cuda-89-0.3.36", "cuda", "NVIDIA GeForce RTX 4090")
    assert kept.libraries is not None
    assert {"libcublas.so.13", "libcudart.so.13"} < {path.name for path in kept.libraries.iterdir()}, (
        "what it runs with"
    )
    assert [path for path in paths.cache.iterdir() if path.name.startswith("build-")] == []


def test_with_a_toolkit_nothing_is_fetched(paths: Paths) -> None:
    commands = Commands()
    work(paths, commands, way(Pretended().with_nvidia().with_nvcc())).run(context())
    assert len(commands.ran) == 1
    assert commands.environments[0]["CUDACXX"] == "/usr/local/cuda/bin/nvcc"


def test_a_failed_compile_says_what_to_do_and_leaves_nothing(paths: Paths) -> None:
    commands = Commands(fails=["x.cu", "c++: fatal error: Killed signal terminated program cc1plus"])
    with pytest.raises(BuildError, match=r"could not be built for the NVIDIA GeForce RTX 4090.*too little memory"):
        work(paths, commands).run(context())
    assert Shelf(paths.builds).builds() == (Build("installed"),)
    assert [path for path in paths.cache.iterdir() if path.name.startswith("build-")] == []


def test_packages_that_are_no_compiler_are_told(paths: Paths) -> None:
    with pytest.raises(BuildError, match="do not make a compiler: libcublas"):
        work(paths, Commands(packages=("bin/nvcc", "lib/libcudart.so.13"))).run(context())
    with pytest.raises(BuildError, match="do not make a compiler: no nvcc"):
        work(paths, Commands(packages=("lib/libcudart.so.13",))).run(context())


def test_a_build_without_its_gpu_part_is_refused(paths: Paths) -> None:
    with pytest.raises(BuildError, match="has no part for cuda"):
        work(paths, Commands(libraries=(LIBRARY,))).run(context())


def test_a_build_that_does_not_go_with_the_binding_is_not_kept(paths: Paths) -> None:
    with pytest.raises(BuildError, match="Its structs differ"):
        work(paths, Commands(), problem="Its structs differ.").run(context())
    assert len(Shelf(paths.builds).builds()) == 1


def test_called_off_it_leaves_nothing(paths: Paths) -> None:
    off = JobContext(lambda *_: None)
    off.cancelled.set()
    with pytest.raises(Cancelled):
        work(paths, Commands()).run(off)
    assert [path for path in paths.cache.iterdir() if path.name.startswith("build-")] == []


def test_a_full_disk_is_told_before_anything_is_fetched(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make_build, "DISK_BYTES", 1 << 60)
    commands = Commands()
    with pytest.raises(BuildError, match=r"needs .* GiB of disk"):
        work(paths, commands).run(context())
    assert commands.ran == []


def test_a_kit_gets_the_names_that_a_linker_looks_for(tmp_path: Path) -> None:
    root = tmp_path / "site" / "nvidia" / "cu13"
    for name in ("bin/nvcc", *(f"lib/{library}" for library in kit.LIBRARIES)):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    driver = tmp_path / "libcuda.so.1"
    driver.write_text("driver")
    assert kit.root_of(tmp_path / "site") == root
    assert not kit.complete(root, ())
    assert kit.complete(root, (str(driver),)), "twice is no fault"
    assert (root / "lib64" / "libcudart.so").read_text() == "lib/libcudart.so.13"
    assert (root / "lib" / "stubs" / "libcuda.so").read_text() == "driver"


def test_a_command_is_heard_and_kept(tmp_path: Path) -> None:
    log, heard = tmp_path / "log", list[str]()
    says = [sys.executable, "-c", "import os; print('[1/2] x'); print(os.environ['CMAKE_ARGS'])"]
    run_command(says, tmp_path, {**os.environ, "CMAKE_ARGS": "-DX=1"}, log, heard.append, threading.Event())
    assert heard == ["[1/2] x", "-DX=1"]
    assert log.read_text() == "[1/2] x\n-DX=1\n"
    with pytest.raises(CommandFailed) as failed:
        run_command([sys.executable, "-c", "exit('no')"], tmp_path, os.environ, log, heard.append, threading.Event())
    assert failed.value.lines == ["no"]


@pytest.mark.skipif(sys.platform == "win32", reason="process groups")
def test_called_off_a_compilers_own_children_end_with_it(tmp_path: Path) -> None:
    cancelled, pids = threading.Event(), list[int]()
    code = "import subprocess, sys; p = subprocess.Popen(['sleep', '600']); print(p.pid, flush=True); p.wait()"

    def hear(line: str) -> None:
        pids.append(int(line))
        cancelled.set()

    with pytest.raises(Cancelled):
        run_command([sys.executable, "-c", code], tmp_path, os.environ, tmp_path / "log", hear, cancelled)
    until(lambda: not psutil.pid_exists(pids[0]) or psutil.Process(pids[0]).status() == psutil.STATUS_ZOMBIE)
