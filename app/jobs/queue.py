"""Runs jobs: heavy ones one after the other, as side by side they only slow each other; light ones some at a time."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Any

from app.errors import Cancelled, SlipstreamError
from app.jobs.handle import JobHandle
from app.jobs.job import Job, JobContext, JobState, Lane, Work, overall
from app.whole_file import reason
from backends.bounds import as_name, sentence
from backends.child import Progress

MAX_LIGHT = 4  # more downloads side by side only share the same line

Listener = Callable[[Job], None]

_log = logging.getLogger(__name__)


class JobQueue:
    """Thread-safe. A job at work has a thread of its own; none is left after `close`."""

    def __init__(self) -> None:
        # a lock, not a queue alone: cancel and jobs() must see and change what waits, from any thread, at once
        self._changed = threading.Condition()
        self._ids = count(1)
        self._handles: dict[int, JobHandle] = {}
        self._jobs: dict[int, Job] = {}
        self._waiting: list[int] = []
        self._working: set[int] = set()
        self._heavy: deque[int] = deque()  # who wants the heavy place; the first has it
        self._threads: list[threading.Thread] = []
        self._listeners: list[Listener] = []
        self._is_closed = False

    def add(
        self, work: Work, lane: Lane = Lane.HEAVY, *, is_paused: bool = False, reached: tuple[int, float] = (0, 0.0)
    ) -> JobHandle:
        """reached: the step, and its fraction, that an earlier run has left. Raises RuntimeError once the queue is
        closed."""
        with self._changed:
            if self._is_closed:
                raise RuntimeError("the job queue is closed")
            handle = JobHandle(self, next(self._ids), work, lane)
            self._handles[handle.id] = handle
            state = JobState.PAUSED if is_paused else JobState.WAITING
            job = self._jobs[handle.id] = Job(
                handle.id,
                as_name(work.title),
                tuple(work.steps),
                state,
                step=min(reached[0], max(0, len(work.steps) - 1)),
                fraction=_overall(work, *reached),
                lane=lane,
            )
        self._tell(job)  # before it may run: nobody should hear of its end first
        if not is_paused:
            self._enqueue(handle)
        return handle

    def jobs(self) -> list[Job]:
        """All jobs of this run of the application, in the order in which they were added, less those forgotten."""
        with self._changed:
            return list(self._jobs.values())

    def job(self, job_id: int) -> Job:
        """Raises KeyError for an id that was never given."""
        with self._changed:
            return self._jobs[job_id]

    def handle(self, job_id: int) -> JobHandle:
        with self._changed:
            return self._handles[job_id]

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """The listener hears every new snapshot, mostly on the job's thread. Call the result to leave."""
        with self._changed:
            self._listeners.append(listener)

        def leave() -> None:
            with self._changed:
                if listener in self._listeners:
                    self._listeners.remove(listener)

        return leave

    def cancel(self, job_id: int) -> None:
        """A job at work ends within a second, one that is not ends at once; a finished one stays as it is."""
        self._stop(job_id, JobState.CANCELLED)

    def pause(self, job_id: int) -> None:
        """As cancel, but `resume` runs its work again."""
        self._stop(job_id, JobState.PAUSED)

    def resume(self, job_id: int) -> None:
        """A paused job waits for its turn again."""
        self._again(job_id, JobState.PAUSED)

    def retry(self, job_id: int) -> None:
        """A failed job waits for its turn again."""
        self._again(job_id, JobState.FAILED)

    def forget(self, job_id: int) -> None:
        """A finished job is listed no more."""
        with self._changed:
            if self._jobs[job_id].state.is_final and job_id not in self._working:
                del self._jobs[job_id], self._handles[job_id]

    def close(self) -> None:
        """Cancels everything but what is paused already, and returns when nothing runs any more."""
        with self._changed:
            self._is_closed = True
            ids = [handle.id for handle in self._handles.values() if not handle.cancelled.is_set()]
            ids = [id_ for id_ in ids if self._jobs[id_].state in (JobState.WAITING, JobState.RUNNING)]
        for job_id in ids:
            self.cancel(job_id)
        for thread in self._threads:
            thread.join()

    def _stop(self, job_id: int, state: JobState) -> None:
        with self._changed:
            handle = self._handles[job_id]
            if not _may_become(state, self._jobs[job_id].state):
                return
            if not handle.cancelled.is_set() or state is JobState.CANCELLED:  # a pause does not undo a cancel
                handle.stops_as = state
            handle.cancelled.set()
            self._changed.notify_all()
            if job_id in self._working:
                return
            job = self._jobs[job_id] = replace(self._jobs[job_id], state=state)  # with the lock: one of two stops wins
            self._leave(job_id)
        self._finish(handle, job)

    def _again(self, job_id: int, state: JobState) -> None:
        with self._changed:
            handle, job = self._handles[job_id], self._jobs[job_id]
            if self._is_closed or job.state is not state:
                return
            handle.cancelled, handle.stops_as = threading.Event(), JobState.CANCELLED
            handle.finished.clear()
            job = self._jobs[job_id] = replace(job, state=JobState.WAITING, text="", error=None)
        self._tell(job)
        self._enqueue(handle)

    def _enqueue(self, handle: JobHandle) -> None:
        with self._changed:
            job = self._jobs.get(handle.id)
            if job is None or job.state is not JobState.WAITING or handle.id in (*self._waiting, *self._working):
                return  # called off or begun meanwhile
            self._waiting.append(handle.id)
            if handle.lane is Lane.HEAVY:
                self._heavy.append(handle.id)
            self._start()

    def _start(self) -> None:
        """Give every waiting job whose place is free its thread. The lock is held."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        for job_id in list(self._waiting):
            if self._is_closed or not self._has_place(self._handles[job_id]):
                continue
            self._waiting.remove(job_id)
            self._working.add(job_id)
            thread = threading.Thread(target=self._work, args=(self._handles[job_id],), name="jobs", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _has_place(self, handle: JobHandle) -> bool:
        if handle.lane is Lane.HEAVY:
            return self._heavy[0] == handle.id
        return sum(self._handles[job_id].lane is Lane.LIGHT for job_id in self._working) < MAX_LIGHT

    def _leave(self, job_id: int) -> None:
        """Its places are free for the next. The lock is held."""
        self._working.discard(job_id)
        for places in (self._waiting, self._heavy):
            if job_id in places:
                places.remove(job_id)
        self._start()
        self._changed.notify_all()

    def _work(self, handle: JobHandle) -> None:
        end = self._run(handle)
        with self._changed:  # in one go: who retries it at once must find its places free
            job = self._jobs[handle.id] = replace(self._jobs[handle.id], **end)
            self._leave(handle.id)
        self._finish(handle, job)

    def _run(self, handle: JobHandle) -> dict[str, Any]:
        """Does the work; what is to be seen of the job at its end."""

        def report(step: int, progress: Progress) -> None:
            fraction = _overall(handle.work, step, progress.fraction)
            self._update(handle, step=step, fraction=fraction, text=as_name(progress.text))

        self._update(handle, state=JobState.RUNNING)
        has_place = handle.lane is Lane.HEAVY
        context = JobContext(report, handle.cancelled, nullcontext if has_place else partial(self._heavy_place, handle))
        try:
            handle.result = handle.work.run(context)
        except Cancelled:
            return {"state": handle.stops_as}
        except SlipstreamError as error:
            return {"state": JobState.FAILED, "error": str(error)}
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            return {"state": JobState.FAILED, "error": f"{handle.work.title} failed: {where}{reason(error)}."}
        except Exception as error:  # the edge: a defect in one job must not end the others
            _log.exception("job %s failed", handle.work.title)
            return {"state": JobState.FAILED, "error": sentence(f"{handle.work.title} failed: {error!r}.")}
        return {"state": JobState.DONE, "fraction": 1.0}

    @contextmanager
    def _heavy_place(self, handle: JobHandle) -> Iterator[None]:
        with self._changed:
            self._heavy.append(handle.id)
        try:
            self._await_turn(handle)
            yield
        finally:
            with self._changed:
                self._heavy.remove(handle.id)
                self._start()
                self._changed.notify_all()

    def _await_turn(self, handle: JobHandle) -> None:
        ahead = None
        while (ahead := self._next_ahead(handle, ahead)) is not handle:
            self._update(handle, text=f"Waiting for “{ahead.work.title}”")

    def _next_ahead(self, handle: JobHandle, told: JobHandle | None) -> JobHandle:
        """Who has the heavy place, as soon as it is another than `told`. Raises Cancelled."""
        with self._changed:
            self._changed.wait_for(lambda: handle.cancelled.is_set() or self._first_heavy() is not told)
            if handle.cancelled.is_set():
                raise Cancelled("Cancelled.")
            return self._first_heavy()

    def _first_heavy(self) -> JobHandle:
        return self._handles[self._heavy[0]]

    def _update(self, handle: JobHandle, **changes: Any) -> None:
        with self._changed:
            job = self._jobs[handle.id] = replace(self._jobs[handle.id], **changes)
        self._tell(job)

    def _finish(self, handle: JobHandle, job: Job) -> None:
        """The listeners hear of the end before those who wait for it."""
        self._tell(job)
        with self._changed:
            if job.state.is_final and self._jobs.get(handle.id, job) is job:  # nobody has begun it again meanwhile
                handle.finished.set()

    def _tell(self, job: Job) -> None:
        with self._changed:
            listeners = tuple(self._listeners)
        for listener in listeners:
            try:
                listener(job)
            except Exception:  # the edge: a listener's defect is not the job's
                _log.exception("a listener of the job queue failed")


def _overall(work: Work, step: int, fraction: float) -> float:
    weights = getattr(work, "weights", None) or (1.0,) * max(1, len(work.steps))
    return overall(weights, step, fraction)


def _may_become(state: JobState, now: JobState) -> bool:
    """PAUSED or CANCELLED; a job that does not work any more can only be called off, and a done one not even that."""
    if now in (JobState.WAITING, JobState.RUNNING):
        return True
    return state is JobState.CANCELLED and now in (JobState.PAUSED, JobState.FAILED)
