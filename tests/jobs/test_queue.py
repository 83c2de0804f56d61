"""Jobs run one after the other, tell what they do, end when told to, and never take the queue with them."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.errors import Cancelled, ConversionError
from app.jobs.child import run_in_child
from app.jobs.job import Job, JobContext, JobState
from app.jobs.queue import JobQueue
from backends.child import Progress
from tests.patience import PATIENCE, comes_back


@dataclass(frozen=True)
class Task:
    do: Callable[[JobContext], Any]
    title: str = "Task"
    steps: tuple[str, ...] = ("One", "Two")

    def run(self, context: JobContext) -> Any:
        return self.do(context)


def until_cancelled(context: JobContext) -> None:
    if not context.cancelled.wait(PATIENCE):
        raise AssertionError("never cancelled")
    raise Cancelled


@pytest.fixture
def queue() -> Iterator[JobQueue]:
    queue = JobQueue()
    yield queue
    queue.close()
    assert not [t for t in threading.enumerate() if t.name == "jobs"]


def test_listeners_hear_every_step_in_order(queue: JobQueue) -> None:
    heard: list[Job] = []
    queue.subscribe(heard.append)

    def work(context: JobContext) -> str:
        context.step(0)(Progress(0.5, "first half"))
        context.step(1)(Progress(0.0, "second"))
        context.step(1)(Progress(1.0, "end"))
        return "result"

    handle = queue.add(Task(work))
    assert handle.wait(PATIENCE).state is JobState.DONE
    assert handle.result == "result"
    assert [(job.state.value, job.step, job.fraction, job.text) for job in heard] == [
        ("waiting", 0, 0.0, ""),
        ("running", 0, 0.0, ""),
        ("running", 0, 0.25, "first half"),
        ("running", 1, 0.5, "second"),
        ("running", 1, 1.0, "end"),
        ("done", 1, 1.0, "end"),
    ]
    assert queue.jobs() == [heard[-1]]


def test_one_job_at_a_time(queue: JobQueue) -> None:
    running, most = 0, 0

    def work(_context: JobContext) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        time.sleep(0.02)
        running -= 1

    for handle in [queue.add(Task(work)) for _ in range(5)]:
        assert handle.wait(PATIENCE).state is JobState.DONE
    assert most == 1


def test_a_failure_is_a_sentence_and_the_next_job_runs(queue: JobQueue) -> None:
    def refuse(_context: JobContext) -> None:
        raise ConversionError("The checkpoint is not complete.")

    refused = queue.add(Task(refuse)).wait(PATIENCE)
    broken = queue.add(Task(lambda _: 1 / 0)).wait(PATIENCE)  # type: ignore[arg-type, return-value]
    assert (refused.state, refused.error) == (JobState.FAILED, "The checkpoint is not complete.")
    assert broken.state is JobState.FAILED
    assert "division by zero" in str(broken.error)
    assert queue.add(Task(lambda _: 7)).wait(PATIENCE).state is JobState.DONE


def test_a_running_and_a_waiting_job_can_be_cancelled(queue: JobQueue) -> None:
    running, waiting = queue.add(Task(until_cancelled)), queue.add(Task(until_cancelled))
    waiting.cancel()
    assert waiting.job.state is JobState.CANCELLED
    running.cancel()
    assert running.wait(PATIENCE).state is JobState.CANCELLED
    running.cancel()  # once more does nothing


def test_a_broken_listener_harms_nobody(queue: JobQueue) -> None:
    heard: list[Job] = []
    queue.subscribe(lambda _: 1 / 0)  # type: ignore[arg-type, return-value]
    leave = queue.subscribe(heard.append)
    assert queue.add(Task(lambda _: None)).wait(PATIENCE).state is JobState.DONE
    leave()
    num_heard = len(heard)
    queue.add(Task(lambda _: None)).wait(PATIENCE)
    assert len(heard) == num_heard > 0


def test_close_does_not_wait_for_the_child_and_leaves_nothing(tmp_path: Path) -> None:
    queue = JobQueue()
    pid_file, asleep = tmp_path / "pid", threading.Event()

    def work(context: JobContext) -> None:
        run_in_child(
            "tests.jobs.children:sleep",
            log_path=tmp_path / "log",
            pid_file=pid_file,
            on_progress=lambda _: asleep.set(),
            cancelled=context.cancelled,
        )

    handles = [queue.add(Task(work)), queue.add(Task(work))]
    assert asleep.wait(PATIENCE)
    comes_back(queue.close)
    assert [handle.job.state for handle in handles] == [JobState.CANCELLED] * 2
    assert not psutil.pid_exists(int(pid_file.read_text()))
    with pytest.raises(RuntimeError):
        queue.add(Task(work))


class Gap(threading.Condition):
    """Runs something as soon as it has been let go of once."""

    then: Callable[[], None] | None = None

    def __exit__(self, *args: Any) -> None:
        super().__exit__(*args)
        then, self.then = self.then, None
        if then:
            then()


def test_a_cancel_in_the_middle_of_a_pause_stays(queue: JobQueue) -> None:
    gap = queue._changed = Gap()
    holder, waiting = queue.add(Task(until_cancelled)), queue.add(Task(until_cancelled))
    gap.then = waiting.cancel
    queue.pause(waiting.id)
    assert waiting.job.state is JobState.CANCELLED
    holder.cancel()


def test_a_job_that_is_paused_and_resumed_while_it_is_told_runs_once(queue: JobQueue) -> None:
    runs: list[None] = []
    handle = queue.add(Task(lambda _: runs.append(None)), is_paused=True)
    stops = [JobState.WAITING]

    def interfere(job: Job) -> None:
        if stops and job.state is stops[0]:
            stops.pop()
            queue.pause(job.id)
            queue.resume(job.id)

    queue.subscribe(interfere)
    queue.resume(handle.id)
    assert handle.wait(PATIENCE).state is JobState.DONE
    assert queue.add(Task(lambda _: None)).wait(PATIENCE).state is JobState.DONE  # the first one's places are free
    assert len(runs) == 1


def test_a_failed_job_that_a_listener_tries_again_is_not_called_finished(queue: JobQueue) -> None:
    go_on, again = threading.Event(), threading.Event()
    answers = [ConversionError("The line is down."), None]
    threads: list[threading.Thread] = []

    def work(_context: JobContext) -> None:
        threads.append(threading.current_thread())
        if answer := answers.pop(0):
            raise answer
        again.set()
        assert go_on.wait(PATIENCE)

    def try_again(job: Job) -> None:
        if job.state is JobState.FAILED:
            queue.retry(job.id)

    queue.subscribe(try_again)
    handle = queue.add(Task(work))
    assert again.wait(PATIENCE)
    threads[0].join(PATIENCE)  # it has told all that it had to tell
    assert not handle.finished.is_set()
    go_on.set()
    assert handle.wait(PATIENCE).state is JobState.DONE


def test_a_disk_that_fails_is_told_as_a_sentence(queue: JobQueue, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    handle = queue.add(Task(lambda _: (tmp_path / "file" / "inside").mkdir()))
    assert handle.wait(PATIENCE).error == f"Task failed: {tmp_path / 'file' / 'inside'}: not a directory."


def test_what_a_file_says_is_cut_before_it_is_shown(queue: JobQueue) -> None:
    told: list[Job] = []
    queue.subscribe(told.append)
    noise = "\x1b[2J" * 1_000_000

    def fail(context: JobContext) -> None:
        context.step(0)(Progress(0.5, noise))
        raise ConversionError(f"{noise} Download it again.")

    job = queue.add(Task(fail, title=noise)).wait()
    assert str(job.error).endswith("Download it again.")

    def crash(_: JobContext) -> None:
        raise ZeroDivisionError(noise)

    queue.add(Task(crash)).wait()
    for job in told:
        for text in (job.title, job.text, job.error or ""):
            assert len(text) <= 600
            assert text.isprintable()
