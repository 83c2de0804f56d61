"""Tries a build that is new here, or whose driver is, against the one before, and goes back where it is worse.

Knows the children that measure and what is remembered of them; nothing of models and engines.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.builds.build import INSTALLED, Build
from app.builds.comparison import slower, wrong
from app.builds.shelf import Shelf
from app.builds.sign import key_of, libraries_of
from app.builds.state import Proof, State, change, read
from app.errors import BuildError, EngineError
from app.jobs.child import run_in_child
from backends.build_report import BuildReport, Canary
from backends.gpu_libraries import gpu_kind

CHILD = "backends.with_build:run"
INSPECTION, CANARY = "backends.llama.inspection:run", "backends.llama.canary:run"
SECONDS = 300.0  # for one child: a Vulkan driver that compiles its kernels for the first time takes a minute
NUM_LOOKS = 2  # a build must be slower each time: other programs come and go

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The build to use from now on, and a sentence where that is another one than was tried."""

    build: Build
    note: str | None = None


class Trial:
    """On any thread; two that come together try once."""

    def __init__(self, shelf: Shelf, state_file: Path, logs: Path):
        self._shelf = shelf
        self._state_file = state_file
        self._log_path = logs / "engine-build.log"
        self._lock = threading.Lock()  # two engines that start together should measure once

    def judge(self, build: Build, cancelled: threading.Event | None = None) -> Outcome:
        """Half a minute where the build or the driver is new, else nothing. Raises Cancelled."""
        if build.is_installed and gpu_kind(libraries_of(build)) is None:
            return Outcome(build)  # the CPU's is the one to compare with: its self-test is enough
        with self._lock:
            key, state = key_of(build), read(self._state_file)
            if state.proof and (state.proof.name, state.proof.key) == (build.name, key):
                return Outcome(build)
            if why := state.rejected.get(key):
                return Outcome(self._before(state), why)
            return self._try(build, key, state, cancelled)

    def inspect(self, build: Build, expected: str | None = None) -> BuildReport:
        """In a child. expected: llama.cpp's version that it should be. Raises BuildError when it does not load."""
        try:
            report = self._run(INSPECTION, build, None, expected=expected)
        except EngineError as error:
            raise BuildError(f"The engine build “{build.name}” cannot be used: {error}") from error
        assert isinstance(report, BuildReport)
        return report

    def _try(self, build: Build, key: str, state: State, cancelled: threading.Event | None) -> Outcome:
        before = self._before(state)
        is_same = before.name == build.name  # the driver is new
        problem, canary = self._compare(build, before, state, cancelled)
        if canary is None or (problem and not is_same):
            fallback = Build(INSTALLED) if is_same else before
            if is_same and build.is_installed:
                return Outcome(
                    build, f"The engine build does not do well on this machine's GPU any more: it {problem}."
                )
            return Outcome(fallback, self._reject(build, key, f"it {problem}", fallback))
        self._keep(lambda known: State(Proof(build.name, key, canary), known.rejected, known.offered))
        return Outcome(build, f"Since the GPU's driver has changed, the engine build {problem}." if problem else None)

    def _before(self, state: State) -> Build:
        """The last one that has proved itself and is still here, or the installed one."""
        known = {each.name: each for each in self._shelf.builds()}
        return known.get(state.proof.name if state.proof else INSTALLED, known[INSTALLED])

    def _compare(
        self, build: Build, before: Build, state: State, cancelled: threading.Event | None
    ) -> tuple[str | None, Canary | None]:
        """What is wrong, as the end of “it …”, and the canary where it has lived."""
        problem, canary = None, None
        for _ in range(NUM_LOOKS):
            try:
                canary = self._canary(build, cancelled)
            except EngineError as error:
                return f"does not work here ({str(error).rstrip('.')})", None
            old = self._old(build, before, state, cancelled)
            if old is None:
                return None, canary  # the one before does not work itself
            if problem := wrong(canary, old):
                return problem, None if before.name == build.name else canary
            if (problem := slower(canary, old)) is None:
                return None, canary
        return problem, canary

    def _old(self, build: Build, before: Build, state: State, cancelled: threading.Event | None) -> Canary | None:
        """Of the one before, measured in turn with the new one; of the same build under the last driver, as kept."""
        if before.name == build.name:
            return state.proof.canary if state.proof else None
        try:
            return self._canary(before, cancelled)
        except EngineError:
            return None

    def _canary(self, build: Build, cancelled: threading.Event | None) -> Canary:
        canary = self._run(CANARY, build, cancelled)
        assert isinstance(canary, Canary)
        return canary

    def _run(self, work: str, build: Build, cancelled: threading.Event | None, **arguments: Any) -> object:
        return run_in_child(
            CHILD,
            log_path=self._log_path,
            cancelled=cancelled,
            limit=SECONDS,
            build=None if build.libraries is None else str(build.libraries),
            work=work,
            **arguments,
        )

    def _reject(self, build: Build, key: str, why: str, instead: Build) -> str:
        sentence = (
            f"The engine build “{build.name}” is not used: {why}. “{instead.name}” is used instead; "
            f"“slipstream builds --use {build.name}” tries it again."
        )
        self._keep(lambda known: State(known.proof, {**known.rejected, key: sentence}, known.offered))
        return sentence

    def _keep(self, changed: Callable[[State], State]) -> None:
        """Without room for it, it is tried again at the next start."""
        try:
            change(self._state_file, changed)
        except OSError as fault:
            _log.warning("%s could not be written: %s", self._state_file, fault)
