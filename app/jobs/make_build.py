"""Makes a build of llama.cpp for this machine's GPU: the compiler if it is missing, the libraries, a look at them."""

import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from app.builds import kit
from app.builds.advice import advise
from app.builds.build import INSTALLED, Build
from app.builds.commands import CommandFailed, run_command
from app.builds.flags import with_flags
from app.builds.machine import Machine
from app.builds.shelf import LIBRARIES, LIBRARY, Shelf
from app.builds.signs import fraction_in, sign_in
from app.builds.way import Obstacle, Way, way_for
from app.errors import BuildError
from app.jobs.job import JobContext
from app.jobs.leftovers import making
from backends.child import Progress
from backends.disk_fault import told
from backends.gpu_libraries import gpu_kind
from backends.ownership.workshop import Workshop

if TYPE_CHECKING:
    from app.builds.trial import Trial
    from app.paths import Paths

BINDING = "llama-cpp-python"
COMPILER, COMPILE, TRY = "Fetch the compiler", "Compile llama.cpp", "Try it out"
WEIGHTS = {COMPILER: 5, COMPILE: 90, TRY: 5}
DISK_BYTES = 5 << 30  # while it is made: the compiler, the sources and what becomes of them
BYTES_A_COMPILER = 2 << 30  # of memory: nvcc's largest files
Run = Callable[..., None]


@dataclass(frozen=True, slots=True)
class MakeBuild:
    """A job. Its result is the Build, which is on the shelf then, and not chosen yet.

    version: of the binding. run: of one command, as `run_command`.
    """

    way: Way
    shelf: Shelf
    trial: "Trial"
    paths: "Paths"
    version: str
    run_command: Run = run_command

    @property
    def title(self) -> str:
        return f"Build the engine for the {self.way.gpu.name}"

    @property
    def steps(self) -> tuple[str, ...]:
        return (COMPILER, COMPILE, TRY) if self.way.needs_compiler else (COMPILE, TRY)

    @property
    def weights(self) -> tuple[int, ...]:
        return tuple(WEIGHTS[step] for step in self.steps)

    @property
    def log(self) -> Path:
        return self.paths.logs / "build.log"

    def run(self, context: JobContext) -> Build:
        """Raises BuildError or Cancelled; nothing of it stays then but its log."""
        if importlib.util.find_spec("pip") is None:
            raise BuildError(f"The build needs pip, which is missing in {sys.prefix}. Run “python -m ensurepip” there.")
        try:
            self.paths.ensure()
            self.log.write_bytes(b"")
            workshops = making(self.paths.cache)
            workshops.clear()
            workshop = workshops.make()
        except OSError as error:
            raise BuildError(told(error, self.paths.cache)) from error
        try:
            return self._make(context, workshop)
        except CommandFailed as failed:
            what = f"The engine could not be built for the {self.way.gpu.name}."
            raise BuildError(f"{what} {advise(failed.lines, os.environ.get('CMAKE_ARGS'))} Log: {self.log}") from failed
        except OSError as error:
            raise BuildError(told(error, workshop.path)) from error
        finally:
            workshop.remove()

    def _make(self, context: JobContext, workshop: Workshop) -> Build:
        if shutil.disk_usage(workshop.path).free < DISK_BYTES:
            raise BuildError(
                f"The build needs {DISK_BYTES >> 30} GiB of disk in {workshop.path.parent}. Make room there."
            )
        environment, root = self._environment(context, workshop.path)
        made = workshop.path / "made"
        only = ("--no-deps", "--no-cache-dir", "--no-binary", BINDING)
        self._pip(context, COMPILE, environment, "-v", *only, "--target", str(made), f"{BINDING}=={self.version}")
        libraries = made / "llama_cpp" / "lib"
        if not (libraries / LIBRARY).is_file() or gpu_kind(libraries) != self.way.kind:
            raise BuildError(f"What was compiled has no part for {self.way.kind}. The log says more: {self.log}")
        if root is not None:
            kit.take_along(root, libraries)
        return self._add(context, libraries)

    def _environment(self, context: JobContext, folder: Path) -> tuple[dict[str, str], Path | None]:
        """For the compile; and where the compiler is that was fetched for it."""
        arguments, root = list(self.way.cmake_args), None
        base: dict[str, str] = {**os.environ, "TMPDIR": str(folder), "TEMP": str(folder), "TMP": str(folder)}
        base.pop("LLAMA_CPP_LIB_PATH", None)
        base.setdefault("CMAKE_BUILD_PARALLEL_LEVEL", str(_num_compilers()))
        if self.way.needs_compiler:
            site = folder / "compiler"
            self._pip(context, COMPILER, base, "--target", str(site), *self.way.packages)
            try:
                root = kit.root_of(site)
                has_driver = kit.complete(root)
            except kit.IncompleteKit as error:
                raise BuildError(f"PyPI's CUDA packages do not make a compiler: {error}. Log: {self.log}") from error
            base = kit.environment_of(root, base)
            if not has_driver:  # nothing to link with; larger pools are then one allocation each
                arguments.append("-DGGML_CUDA_NO_VMM=on")
        elif self.way.nvcc:
            base["CUDACXX"] = self.way.nvcc
            base["PATH"] = os.pathsep.join((str(Path(self.way.nvcc).parent), base.get("PATH", os.defpath)))
        return with_flags(base, platform.machine(), sys.platform, arguments), root

    def _pip(self, context: JobContext, step: str, environment: dict[str, str], *arguments: str) -> None:
        report = context.step(self.steps.index(step))
        report(Progress(0.0, ""))
        far = 0.0

        def hear(line: str) -> None:
            nonlocal far
            far = max(far, fraction_in(line) or 0.0)
            if sign := sign_in(line):
                report(Progress(far, sign))

        command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", *arguments]
        with context.heavy():
            self.run_command(command, self.paths.cache, environment, self.log, hear, context.cancelled)

    def _add(self, context: JobContext, libraries: Path) -> Build:
        report = context.step(self.steps.index(TRY))
        report(Progress(0.0, "asking it what it can do"))
        expected = self.trial.inspect(Build(INSTALLED)).version
        said = self.trial.inspect(Build(self.way.name, libraries), expected)
        if said.problem:
            raise BuildError(f"The build cannot be used. {said.problem}")
        place = self.shelf.place(f"{self.way.name}-{self.version}")
        shutil.copytree(libraries, place / LIBRARIES, symlinks=True)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        made_for = self.way.gpu.name
        return self.shelf.add(Build(place.name, None, self.way.kind, made_for, now, self.version, said))


def wanted_way(machine: Machine) -> Way:
    """Raises BuildError with what to do where there is none."""
    way = way_for(machine)
    if way is None:
        raise BuildError("No GPU was found here that a build of its own could use. “slipstream doctor” says more.")
    if isinstance(way, Obstacle):
        raise BuildError(str(way))
    return way


def _num_compilers() -> int:
    return max(1, min(os.cpu_count() or 1, psutil.virtual_memory().available // BYTES_A_COMPILER))
