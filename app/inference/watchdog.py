"""Notices engines that do not answer, and restarts them where no person is there to decide. Knows no pipe.

An engine says at least once a second that it lives (backends.protocol.Pulse), also while it loads or reads a long
prompt. One that is merely slow is never restarted: a busy machine delays the watchdog itself, which then waits anew.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import psutil

LATE = 3  # ticks; who looks later than that was held up: by a suspended machine, a debugger, too much work

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Patience:
    """In seconds."""

    silent: float = 10.0  # without a pulse: the window says so
    restart: float = 30.0  # without a pulse: started anew if nobody is asked
    step: float = 60.0  # for one step or one stage of a load, with a pulse
    start: float = 90.0  # until the first word of a new process, which has to import first
    tick: float = 1.0


class Vitals:
    """When one process was last heard of. Its reader writes, the watchdog looks: single values, each replaced whole."""

    def __init__(self, now: float | None = None):
        self._heard = time.monotonic() if now is None else now
        self._has_begun = False
        self._busy = 0.0

    def hear(self, busy_seconds: float, now: float | None = None) -> None:
        """busy_seconds: what a pulse says of the step at work; any other word is the end of one."""
        self._heard = time.monotonic() if now is None else now
        self._has_begun = True
        self._busy = busy_seconds

    def forgive(self, now: float) -> None:
        """Nobody could hear it for a while."""
        self._heard = now

    def quiet(self, now: float, patience: Patience) -> float | None:
        """Seconds without a sign of life; None while they are no more than usual."""
        seconds = now - self._heard
        return seconds if seconds >= (patience.silent if self._has_begun else patience.start) else None

    def silence(self, now: float, patience: Patience) -> float | None:
        """Seconds that it has not answered, without a sign of life or at one step; None if that is as it should be."""
        quiet = self.quiet(now, patience)
        return quiet if quiet is not None else self._busy if self._busy >= patience.step else None


class Patient(Protocol):
    """What the watchdog needs of an engine."""

    name: str
    vitals: Vitals | None  # None while nothing is expected of it

    @property
    def pid(self) -> int | None: ...

    def note_silence(self, seconds: float | None) -> None: ...

    def restart(self, cause: str) -> None: ...


class Watchdog:
    """`look` is called every tick."""

    def __init__(
        self,
        engines: Callable[[], Sequence[Patient]],
        is_attended: Callable[[], bool],
        patience: Patience,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._engines = engines
        self._is_attended = is_attended
        self._patience = patience
        self._clock = clock
        self._last = clock()

    def look(self) -> None:
        now = self._clock()
        was_late, self._last = now - self._last > LATE * self._patience.tick, now
        for engine in self._engines():
            if vitals := engine.vitals:
                if was_late:
                    vitals.forgive(now)
                engine.note_silence(vitals.silence(now, self._patience))
                quiet = vitals.quiet(now, self._patience)
                if quiet is not None and quiet >= self._patience.restart and self._may_restart(engine):
                    _log.warning("“%s” has not answered for %.0f s and is started anew.", engine.name, quiet)
                    engine.restart(f"it had not answered for {quiet:.0f} s and was ended")

    def _may_restart(self, engine: Patient) -> bool:
        return not self._is_attended() and not _is_traced(engine.pid)


def _is_traced(pid: int | None) -> bool:
    """A debugger holds it."""
    try:
        return pid is not None and psutil.Process(pid).status() == psutil.STATUS_TRACING_STOP
    except psutil.Error:
        return False
