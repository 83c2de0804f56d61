"""What a job is and what is seen of it. Knows no queue and no thread."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from app.errors import Cancelled
from backends.child import Progress


class JobState(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return self in (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


@dataclass(frozen=True, slots=True)
class Job:
    """A snapshot. fraction: of the whole job, 0 to 1. text: what it does now. error: a sentence once FAILED."""

    id: int
    title: str
    steps: tuple[str, ...]
    state: JobState = JobState.WAITING
    step: int = 0  # index into steps
    fraction: float = 0.0
    text: str = ""
    error: str | None = None


class Work(Protocol):
    """A job's doing. `run` is called once, on the queue's thread, and what it returns is the job's result."""

    @property
    def title(self) -> str: ...

    @property
    def steps(self) -> tuple[str, ...]: ...

    def run(self, context: "JobContext") -> Any:
        """Raises a SlipstreamError for what a person can understand, and Cancelled once called off."""


@dataclass(frozen=True, slots=True)
class JobContext:
    """What the queue hands to a job at work."""

    report: Callable[[int, Progress], None]  # index of the step, its own progress
    cancelled: threading.Event = field(default_factory=threading.Event)

    def step(self, index: int) -> Callable[[Progress], None]:
        """Begins a step: the listener for its progress. Raises Cancelled when the job was called off."""
        if self.cancelled.is_set():
            raise Cancelled("Cancelled.")

        def on_progress(progress: Progress) -> None:
            self.report(index, progress)

        return on_progress
