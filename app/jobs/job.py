"""What a job is and what is seen of it. Knows no queue and no thread."""

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from app.errors import Cancelled
from backends.child import Progress


class JobState(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return self in (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


class Lane(StrEnum):
    """HEAVY jobs take the whole machine: one at a time. LIGHT ones run side by side, and can be paused."""

    HEAVY = "heavy"
    LIGHT = "light"  # takes the heavy place only for its heavy steps: JobContext.heavy


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
    lane: Lane = Lane.HEAVY


class Work(Protocol):
    """A job's doing. `run` is called on a thread of the queue, and what it returns is the job's result.

    It is called again when a paused job goes on or a failed one is tried again.
    """

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
    cancelled: threading.Event = field(default_factory=threading.Event)  # set for a pause as well
    heavy: Callable[[], AbstractContextManager[None]] = nullcontext  # waits for the heavy place; raises Cancelled

    def step(self, index: int) -> Callable[[Progress], None]:
        """Begins a step: the listener for its progress. Raises Cancelled when the job was called off."""
        if self.cancelled.is_set():
            raise Cancelled("Cancelled.")

        def on_progress(progress: Progress) -> None:
            self.report(index, progress)

        return on_progress


def overall(weights: Sequence[float], step: int, fraction: float) -> float:
    """How far the whole job is, with `fraction` of `step` done. weights: the steps' shares of its time."""
    inside = weights[step] * min(1.0, max(0.0, fraction))
    return (sum(weights[:step]) + inside) / sum(weights)
