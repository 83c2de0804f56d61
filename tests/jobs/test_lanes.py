"""Light jobs run side by side, their heavy steps one at a time; they can be paused, resumed and tried again."""

import threading
from collections.abc import Iterator

import pytest

from app.errors import Cancelled, ConversionError
from app.jobs.job import Job, JobContext, JobState, Lane
from app.jobs.queue import MAX_LIGHT, JobQueue
from backends.child import Progress
from tests.jobs.test_queue import Task, until_cancelled
from tests.patience import PATIENCE as SECONDS


@pytest.fixture
def queue() -> Iterator[JobQueue]:
    queue = JobQueue()
    yield queue
    queue.close()


class Watch:
    """Waits until a job is seen in some way."""

    def __init__(self, queue: JobQueue):
        self._changed = threading.Condition()
        self.heard: list[Job] = []
        queue.subscribe(self._hear)

    def _hear(self, job: Job) -> None:
        with self._changed:
            self.heard.append(job)
            self._changed.notify_all()

    def wait(self, job_id: int, state: JobState, text: str = "") -> None:
        def is_seen() -> bool:
            return any(job.id == job_id and job.state is state and text in job.text for job in self.heard)

        with self._changed:
            assert self._changed.wait_for(is_seen, SECONDS), self.heard


def test_light_jobs_run_side_by_side_up_to_a_limit(queue: JobQueue) -> None:
    together, last_began = threading.Barrier(MAX_LIGHT + 1), threading.Event()
    go_on = threading.Event()

    def meet(_context: JobContext) -> None:
        together.wait(SECONDS)
        go_on.wait(SECONDS)

    handles = [queue.add(Task(meet), Lane.LIGHT) for _ in range(MAX_LIGHT)]
    late = queue.add(Task(lambda _: last_began.set()), Lane.LIGHT)
    together.wait(SECONDS)
    assert late.job.state is JobState.WAITING
    go_on.set()
    assert last_began.wait(SECONDS)
    assert [handle.wait(SECONDS).state for handle in [*handles, late]] == [JobState.DONE] * (MAX_LIGHT + 1)


def test_a_heavy_step_waits_for_a_heavy_job_and_says_so(queue: JobQueue) -> None:
    watch, go_on = Watch(queue), threading.Event()

    def light(context: JobContext) -> str:
        with context.heavy():
            return "had the place"

    heavy = queue.add(Task(lambda _: go_on.wait(SECONDS), title="Big one"))
    watch.wait(heavy.id, JobState.RUNNING)
    waits = queue.add(Task(light), Lane.LIGHT)
    watch.wait(waits.id, JobState.RUNNING, "Waiting for “Big one”")
    go_on.set()
    assert waits.wait(SECONDS).state is JobState.DONE
    assert waits.result == "had the place"


def test_a_heavy_job_waits_for_a_heavy_step_and_the_wait_can_be_called_off(queue: JobQueue) -> None:
    watch, go_on = Watch(queue), threading.Event()

    def hold(context: JobContext) -> None:
        with context.heavy():
            context.step(0)(Progress(0.5, "inside"))
            go_on.wait(SECONDS)

    first, second = queue.add(Task(hold), Lane.LIGHT), None
    watch.wait(first.id, JobState.RUNNING, "inside")
    second = queue.add(Task(hold), Lane.LIGHT)
    watch.wait(second.id, JobState.RUNNING, "Waiting for")
    heavy = queue.add(Task(lambda _: None))
    assert heavy.job.state is JobState.WAITING
    second.cancel()
    assert second.wait(SECONDS).state is JobState.CANCELLED
    go_on.set()
    assert heavy.wait(SECONDS).state is JobState.DONE


def test_a_paused_job_runs_again_when_resumed(queue: JobQueue) -> None:
    watch, runs = Watch(queue), []

    def work(context: JobContext) -> str:
        runs.append(None)
        if len(runs) == 1:
            until_cancelled(context)
        return "second run"

    handle = queue.add(Task(work), Lane.LIGHT)
    watch.wait(handle.id, JobState.RUNNING)
    queue.resume(handle.id)  # it rests not yet
    queue.pause(handle.id)
    watch.wait(handle.id, JobState.PAUSED)
    assert not handle.finished.is_set()
    queue.resume(handle.id)
    assert handle.wait(SECONDS).state is JobState.DONE
    assert handle.result == "second run"


def test_a_failed_job_can_be_tried_again(queue: JobQueue) -> None:
    answers = [ConversionError("The line is down."), None]

    def work(_context: JobContext) -> None:
        answer = answers.pop(0)
        if answer:
            raise answer

    handle = queue.add(Task(work), Lane.LIGHT)
    assert handle.wait(SECONDS).error == "The line is down."
    queue.retry(handle.id)
    again = handle.wait(SECONDS)
    assert (again.state, again.error) == (JobState.DONE, None)


def test_a_job_may_begin_paused_and_a_paused_one_be_called_off(queue: JobQueue) -> None:
    handle = queue.add(Task(until_cancelled), Lane.LIGHT, is_paused=True)
    assert handle.job.state is JobState.PAUSED
    handle.cancel()
    assert handle.job.state is JobState.CANCELLED
    queue.forget(handle.id)
    assert queue.jobs() == []


def test_close_leaves_paused_what_was_paused(queue: JobQueue) -> None:
    watch = Watch(queue)

    def work(context: JobContext) -> None:
        context.cancelled.wait(SECONDS)
        raise Cancelled

    paused, running = queue.add(Task(work), Lane.LIGHT), queue.add(Task(work), Lane.LIGHT)
    watch.wait(running.id, JobState.RUNNING)
    queue.pause(paused.id)
    queue.close()
    assert (paused.job.state, running.job.state) == (JobState.PAUSED, JobState.CANCELLED)


def test_steps_share_the_bar_by_their_weights(queue: JobQueue) -> None:
    class Weighed(Task):
        weights = (3, 1)

    watch = Watch(queue)
    handle = queue.add(Weighed(lambda context: context.step(1)(Progress(0.5, "half"))))
    handle.wait(SECONDS)
    assert next(job.fraction for job in watch.heard if job.text == "half") == pytest.approx(3.5 / 4)
