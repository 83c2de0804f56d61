"""Runs jobs one after the other on a thread of its own: heavy work side by side only makes all of it slow."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

from app.errors import Cancelled, SlipstreamError
from app.jobs.job import Job, JobContext, JobState, Work
from backends.child import Progress

Listener = Callable[[Job], None]

_log = logging.getLogger(__name__)


class JobHandle:
    """One job for whoever added it. Thread-safe."""

    def __init__(self, queue: "JobQueue", job_id: int, work: Work):
        self.id = job_id
        self.work = work
        self.cancelled = threading.Event()
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


class JobQueue:
    """Thread-safe. The thread starts with the first job and ends in `close`."""

    def __init__(self) -> None:
        # a lock, not a queue alone: cancel and jobs() must see and change what waits, from any thread, at once
        self._changed = threading.Condition()
        self._ids = count(1)
        self._handles: dict[int, JobHandle] = {}
        self._jobs: dict[int, Job] = {}
        self._waiting: deque[int] = deque()
        self._listeners: list[Listener] = []
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def add(self, work: Work) -> JobHandle:
        """Raises RuntimeError once the queue is closed."""
        with self._changed:
            if self._is_closed:
                raise RuntimeError("the job queue is closed")
            handle = JobHandle(self, next(self._ids), work)
            self._handles[handle.id] = handle
            job = self._jobs[handle.id] = Job(handle.id, work.title, tuple(work.steps))
        self._tell(job)  # before it may run: nobody should hear of its end first
        with self._changed:
            self._waiting.append(handle.id)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="jobs", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        return handle

    def jobs(self) -> list[Job]:
        """All jobs of this run of the application, in the order in which they were added."""
        with self._changed:
            return list(self._jobs.values())

    def job(self, job_id: int) -> Job:
        """Raises KeyError for an id that was never given."""
        with self._changed:
            return self._jobs[job_id]

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """The listener hears every new snapshot, mostly on the job thread. Call the result to leave."""
        with self._changed:
            self._listeners.append(listener)

        def leave() -> None:
            with self._changed:
                if listener in self._listeners:
                    self._listeners.remove(listener)

        return leave

    def cancel(self, job_id: int) -> None:
        """A waiting job ends at once, a running one within a second, a finished one stays as it is."""
        with self._changed:
            handle = self._handles[job_id]
            handle.cancelled.set()
            if job_id not in self._waiting:
                return
            self._waiting.remove(job_id)
        self._update(handle, state=JobState.CANCELLED)

    def close(self) -> None:
        """Cancels everything and returns when nothing runs any more."""
        with self._changed:
            self._is_closed = True
            ids = [job.id for job in self._jobs.values() if not job.state.is_final]
            self._changed.notify_all()
        for job_id in ids:
            self.cancel(job_id)
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        while (handle := self._next()) is not None:
            self._run(handle)

    def _next(self) -> JobHandle | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closed)
            return self._handles[self._waiting.popleft()] if self._waiting else None

    def _run(self, handle: JobHandle) -> None:
        num_steps = max(1, len(handle.work.steps))

        def report(step: int, progress: Progress) -> None:
            fraction = (step + min(1.0, max(0.0, progress.fraction))) / num_steps
            self._update(handle, step=step, fraction=fraction, text=progress.text)

        self._update(handle, state=JobState.RUNNING)
        try:
            handle.result = handle.work.run(JobContext(report, handle.cancelled))
        except Cancelled:
            self._update(handle, state=JobState.CANCELLED)
        except SlipstreamError as error:
            self._update(handle, state=JobState.FAILED, error=str(error))
        except Exception as error:  # the edge: a defect in one job must not end the others
            _log.exception("job %s failed", handle.work.title)
            self._update(handle, state=JobState.FAILED, error=f"{handle.work.title} failed: {error!r}.")
        else:
            self._update(handle, state=JobState.DONE, fraction=1.0)

    def _update(self, handle: JobHandle, **changes: Any) -> None:
        with self._changed:
            job = self._jobs[handle.id] = replace(self._jobs[handle.id], **changes)
        self._tell(job)
        if job.state.is_final:
            handle.finished.set()

    def _tell(self, job: Job) -> None:
        with self._changed:
            listeners = tuple(self._listeners)
        for listener in listeners:
            try:
                listener(job)
            except Exception:  # the edge: a listener's defect is not the job's
                _log.exception("a listener of the job queue failed")
