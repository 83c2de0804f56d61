"""What is checked before a native library sees a model: the file's header, and the build itself, once."""

import json
import logging
import os
import threading
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.errors import EngineError
from app.inference.build import build_key
from app.inference.checked_models import CheckedModels
from app.jobs.child import run_in_child
from app.late import late
from app.whole_file import replace_file, set_aside
from backends.child import SPINS, SelfTest
from backends.protocol import EngineOptions
from backends.regular_file import read_regular

if TYPE_CHECKING:
    from app.builds.builds import Builds
    from app.inference.planning import Planning

WAKE_SECONDS = 0.0001  # of a thread, where that is not known; in a virtual machine twice what it is outside of one
LEAST_WAKE, MOST_WAKE = 0.00002, 0.0002  # believed: on a busy machine it is measured longer
MAX_VERDICT, MAX_COST, MOST_VERDICTS = 1 << 20, 1e6, 8  # bytes of all, of flash attention, builds that are kept
SELF_TEST = "backends.llama.selftest:run"
SELF_TEST_SECONDS = 180.0  # it takes two, and some twenty on a very busy machine
REPACKING_OFF = (
    "The installed build of llama.cpp crashes with its extra buffer types on this processor, so they are off: "
    "several answers at once and drafting are slower. `make engine` builds it with the right flags."
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Verdict:
    """On the installed build, on this machine."""

    extra_buffer_types: bool  # whether it survives with them
    flash_cost: float  # of a step with flash attention on the CPU, over one without
    turn_seconds: float | None = None  # of a thread that spins at a barrier, where the runtime counts turns
    waiting_problem: str = ""  # why the engine cannot choose how its threads wait
    wake_seconds: float | None = None  # of a thread that sleeps at a barrier

    @property
    def spins(self) -> int | None:
        """Turns before a thread sleeps: twice as long as waking it takes, which is most of what either can cost."""
        wake = min(max(self.wake_seconds or WAKE_SECONDS, LEAST_WAKE), MOST_WAKE)
        return round(2 * wake / self.turn_seconds) if self.turn_seconds else None

    @property
    def is_sound(self) -> bool:
        is_turn, is_wake = _is_time(self.turn_seconds), _is_time(self.wake_seconds)
        is_cost = type(self.flash_cost) is float and 0 < self.flash_cost < MAX_COST
        is_problem = type(self.waiting_problem) is str
        return type(self.extra_buffer_types) is bool and is_cost and is_turn and is_wake and is_problem


class Preflight:
    """Called on an engine's own thread before its process starts. Raises SlipstreamError with a sentence."""

    def __init__(self, cache: Path, logs: Path, builds: "Builds | None" = None):
        """builds: of which the one that is used is tried first. None: whatever the environment says."""
        self._cache, self._logs, self._builds = cache, logs, builds
        self._models = CheckedModels(cache / "checked-models.json")
        self._verdict_file = cache / "selftest.json"
        self._log_path = logs / "selftest.log"
        self._lock = threading.Lock()  # two engines that start together should test once

    def __call__(
        self, model: Path, options: EngineOptions, cancelled: threading.Event | None = None
    ) -> tuple[EngineOptions, tuple[str, ...]]:
        """The options to load with, and sentences for the load event. Raises Cancelled, too."""
        self._models.check(model)
        if options.draft_model is not None:
            self._models.check(options.draft_model)
        notes = self._builds.prepare(cancelled) if self._builds else ()
        options, more = self.measured(options, cancelled)
        notes += more
        return options, notes

    @late
    def planning(self) -> "Planning":
        from app.inference.planning import Planning  # with the planner, which no start waits for

        return Planning(self._cache, self._logs, build_key)

    def measured(
        self, options: EngineOptions, cancelled: threading.Event | None = None
    ) -> tuple[EngineOptions, tuple[str, ...]]:
        """With what the self-test found out. Raises as `verdict` does."""
        verdict = self.verdict(cancelled) if options.extra_buffer_types else None
        if verdict is None:
            return options, ()
        flash_cost = verdict.flash_cost if options.flash_cost is None else options.flash_cost
        options = replace(options, flash_cost=flash_cost, extra_buffer_types=verdict.extra_buffer_types)
        return options, () if verdict.extra_buffer_types else (REPACKING_OFF,)

    def verdict(self, cancelled: threading.Event | None = None) -> Verdict:
        """What the self-test found. Raises EngineError when the build does not work at all, or Cancelled."""
        with self._lock:
            key = build_key()
            verdict = self._read(key)
            if verdict is None:
                verdict = self._test(cancelled)
                self._write(key, verdict)
        if verdict.spins:
            os.environ[SPINS] = str(verdict.spins)  # for the children to come; a person's own variable goes before it
        return verdict

    def _test(self, cancelled: threading.Event | None) -> Verdict:
        try:
            return self._run(True, cancelled)
        except EngineError as error:
            if error.crash is None:
                raise
            return self._run(False, cancelled)

    def _run(self, extra_buffer_types: bool, cancelled: threading.Event | None) -> Verdict:
        result = run_in_child(
            SELF_TEST,
            log_path=self._log_path,
            cancelled=cancelled,
            limit=SELF_TEST_SECONDS,
            extra_buffer_types=extra_buffer_types,
        )
        assert isinstance(result, SelfTest)
        problem = result.waiting_problem
        return Verdict(extra_buffer_types, result.flash_cost, result.turn_seconds, problem, result.wake_seconds)

    def _read(self, key: str) -> Verdict | None:
        try:
            verdict = Verdict(**self._kept()[key])
        except (LookupError, TypeError):
            return None
        return verdict if verdict.is_sound else None

    def _kept(self) -> dict[str, Any]:
        """The verdicts by their builds."""
        try:
            document = json.loads(read_regular(self._verdict_file, MAX_VERDICT))
        except (OSError, ValueError, RecursionError):
            return {}
        return document if isinstance(document, dict) else {}

    def _write(self, key: str, verdict: Verdict) -> None:
        """Without room for it, it is found again at the next start."""
        others = [(build, kept) for build, kept in self._kept().items() if build != key][1 - MOST_VERDICTS :]
        try:
            if os.path.lexists(self._verdict_file) and not self._verdict_file.is_file():
                set_aside(self._verdict_file)
            replace_file(self._verdict_file, json.dumps({**dict(others), key: asdict(verdict)}).encode())
        except OSError as fault:
            _log.warning("%s could not be written: %s", self._verdict_file, fault)


def _is_time(seconds: float | None) -> bool:
    return seconds is None or (type(seconds) is float and 0 < seconds < 1)
