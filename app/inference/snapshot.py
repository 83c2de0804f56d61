"""What a listener is told of an engine. Values only."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from app.errors import EngineError, UnloadableError
from app.inference.crash import CrashReport
from backends.protocol import Ready, Stats


class EngineState(StrEnum):
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"  # the load was refused, or it died too often
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class EngineSnapshot:
    """`crash` stays until the next load is ready, so that it can be shown."""

    name: str
    model: Path
    state: EngineState
    fraction: float
    ready: Ready | None
    stats: Stats | None
    crash: CrashReport | None
    error: str | None
    silent_seconds: float | None = None  # how long it has not answered, once that is longer than it should be
    is_unloadable: bool = False  # the error is the file's own
    is_of_memory: bool = False  # the error, or the crash: there was too little of it
    waits: str = ""  # while it loads: why that cannot begin yet, a sentence
    speed: float | None = None  # tokens a second of all answers together, over the last one; None: none were said

    @property
    def is_silent(self) -> bool:
        return self.silent_seconds is not None

    def refusal(self) -> EngineError:
        """Why it takes no request now."""
        if self.state is EngineState.LOADING:
            return EngineError(f"“{self.name}” is still loading. Try again in a moment.", self.crash)
        why = self.error or f"“{self.name}” is not loaded any more."
        return UnloadableError(why) if self.is_unloadable and not self.crash else EngineError(why, self.crash)
