"""One job for whoever added it, and what the queue keeps of it. Knows the queue's verbs, not its workings."""

import threading
from typing import TYPE_CHECKING, Any

from app.jobs.job import Job, JobState, Lane, Work

if TYPE_CHECKING:
    from app.jobs.queue import JobQueue


class JobHandle:
    """One job for whoever added it. Thread-safe."""

    def __init__(self, queue: "JobQueue", job_id: int, work: Work, lane: Lane):
        self.id = job_id
        self.work = work
        self.lane = lane
        self.cancelled = threading.Event()  # a new one for each run
        self.stops_as = JobState.CANCELLED  # or PAUSED
        self.finished = threading.Event()
        self.result: Any = None  # of the work, once the state is DONE
        self._queue = queue

    @property
    def job(self) -> Job:
        return self._queue.job(self.id)

    def cancel(self) -> None:
        self._queue.cancel(self.id)

    def wait(self, timeout: float | None = None) -> Job:
        """The job once it is final, or as it is after `timeout` seconds."""
        self.finished.wait(timeout)
        return self.job
