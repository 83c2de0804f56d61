"""A job that takes too long, or too much memory, or breaks its process, is a sentence; the next one runs."""

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import MagicMock

import psutil
import pytest

from backends.sandbox import child
from backends.sandbox.job import Bounds, Fault
from backends.sandbox.sandbox import Sandbox
from tests.inference.conftest import is_alive
from tests.patience import PATIENCE, until
from tests.sandbox import jobs

ROOT = Path(__file__).parents[2]
# seconds of the processor; by the clock a busy machine has all the time it needs
BOUNDS = Bounds(deadline=0.5, memory=100 << 20, patience=PATIENCE, begin=PATIENCE)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(BOUNDS) as sandbox:
        sandbox.run(jobs.Echo(""))
        yield sandbox


def test_one_child_does_job_after_job(sandbox: Sandbox) -> None:
    assert sandbox.run(jobs.Echo("x" * 2_000_000)) == "x" * 2_000_000
    assert sandbox.run(jobs.Pid()) == sandbox.run(jobs.Pid()) != os.getpid()


@pytest.mark.parametrize(
    ("job", "reason"),
    [
        (jobs.Loop(), "it takes longer than 0.5 seconds"),
        (jobs.Grind(), "it takes longer than 0.5 seconds"),
        (jobs.Allocate(400 << 20), "it needs more than 100 MB of memory"),
        (jobs.Abort(), "it needs more than 100 MB of memory"),
        (jobs.Recurse(), "it is nested too deeply"),
        (jobs.Refuse("roles must alternate."), "roles must alternate"),
        (jobs.Break(), "it cannot be followed"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_what_a_job_may_not_is_a_reason_and_the_next_job_runs(sandbox: Sandbox, job: object, reason: str) -> None:
    with pytest.raises(Fault) as fault:
        sandbox.run(job)  # type: ignore[arg-type]
    assert str(fault.value) == reason
    assert sandbox.run(jobs.Echo("still here")) == "still here"


def test_a_job_that_does_nothing_has_an_end_too() -> None:
    with Sandbox(Bounds(patience=0.2)) as sandbox, pytest.raises(Fault, match="it takes longer than 2 seconds"):
        sandbox.run(jobs.Sleep(3600))


def test_a_machine_that_has_no_time_is_not_the_jobs_fault() -> None:
    """As where the child is held up by others: it spends next to nothing of its two seconds."""
    with Sandbox(Bounds(deadline=0.2, patience=PATIENCE)) as sandbox:
        assert sandbox.run(jobs.Sleep(0.6)) is None


def test_a_long_reason_is_cut_to_a_sentence(sandbox: Sandbox) -> None:
    with pytest.raises(Fault) as fault:
        sandbox.run(jobs.Refuse("a\nb\x1b[31m\ud800" * 1_000_000))
    reason = str(fault.value)
    assert len(reason) <= 300
    assert reason.isprintable()


def test_one_that_was_started_before_the_log_was_known_speaks_into_it(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    log.write_text("The engine's own words.\n")
    with Sandbox(BOUNDS) as sandbox:
        sandbox.start()
        sandbox.log = log
        with pytest.raises(Fault):
            sandbox.run(jobs.Break())
    words = log.read_text()
    assert words.startswith("The engine's own words.\n"), "it goes on where others write"
    assert "Traceback" in words


def test_where_the_system_keeps_no_bound_the_childs_memory_is_watched() -> None:
    """As on macOS and Windows: the child is told of no bound, and the watch sees what it takes."""
    with Sandbox(Bounds(deadline=20, memory=1 << 40, patience=PATIENCE)) as sandbox:
        sandbox.run(jobs.Echo(""))
        child = sandbox._child
        assert child
        child._watch._memory = 100 << 20
        child._watch.allow_from_here()
        with pytest.raises(Fault, match="MB of memory"):
            sandbox.run(jobs.Allocate(8 << 30))


def test_a_tool_is_brought_once_in_a_childs_life(sandbox: Sandbox) -> None:
    brought = []

    def bring() -> jobs.Weight:
        brought.append(1)
        return jobs.Weight("300 MB, more than a job may have")

    for _ in range(3):
        assert sandbox.run(jobs.UseWeight(), weight=bring).startswith("300 MB")
    assert len(brought) == 1
    with pytest.raises(Fault):
        sandbox.run(jobs.Loop())
    assert sandbox.run(jobs.UseWeight(), weight=bring).startswith("300 MB")
    assert len(brought) == 2, "the new child has none yet"


def test_a_child_that_died_between_two_jobs_is_replaced(sandbox: Sandbox) -> None:
    child = sandbox.run(jobs.Pid())
    psutil.Process(child).kill()
    until(lambda: not is_alive(child))
    assert sandbox.run(jobs.Echo("again")) == "again"


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="Windows has no SIGSTOP")
@pytest.mark.parametrize("length", [1, 10_000_000])
def test_a_child_that_was_stopped_before_the_job_is_given_up_for_a_fresh_one(length: int) -> None:
    """More than a pipe holds: sending itself waits."""
    with Sandbox(Bounds(begin=2.5)) as sandbox:
        stopped = sandbox.run(jobs.Pid())
        os.kill(stopped, signal.SIGSTOP)
        assert sandbox.run(jobs.Echo("x" * length)) == "x" * length
        assert not is_alive(stopped)


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="Windows has no SIGSTOP")
def test_a_child_that_is_stopped_in_a_job_has_begun_it() -> None:
    bounds = Bounds(patience=0.2, begin=PATIENCE)
    with Sandbox(bounds) as sandbox, pytest.raises(Fault, match="takes longer") as fault:
        sandbox.run(jobs.Stop())
    assert not fault.value.is_ours


@pytest.mark.parametrize(
    "lacks", [OSError(errno.EMFILE, "Too many open files"), RuntimeError("can't start new thread")]
)
def test_no_room_for_a_child_is_nobodys_fault_but_ours(monkeypatch: pytest.MonkeyPatch, lacks: Exception) -> None:
    """Of files for its pipe, or of a thread that watches it; then it must not stay behind either."""

    def fail(*_: object) -> None:
        raise lacks

    before = set(psutil.Process().children())
    with Sandbox(BOUNDS) as sandbox:
        with monkeypatch.context() as patch:
            if isinstance(lacks, OSError):
                patch.setattr(child, "multiprocessing", MagicMock(get_context=fail))
            else:
                patch.setattr(child, "_Watch", fail)
            with pytest.raises(Fault, match=r"could not be started \(.*\)") as fault:
                sandbox.run(jobs.Echo(""))
        assert fault.value.is_ours
        assert not fault.value.is_final
        new = [
            process for process in set(psutil.Process().children()) - before if "tracker" not in str(process.cmdline())
        ]
        assert not new
        assert sandbox.run(jobs.Echo("again")) == "again"


def test_closing_ends_a_job_in_its_middle() -> None:
    sandbox = Sandbox(Bounds(deadline=1000, patience=1000))
    child = sandbox.run(jobs.Pid())
    faults: list[Fault] = []

    def loop() -> None:
        try:
            sandbox.run(jobs.Loop())
        except Fault as fault:
            faults.append(fault)

    thread = threading.Thread(target=loop)
    thread.start()
    sandbox.close()
    thread.join(PATIENCE)
    assert faults
    assert not is_alive(child)


@pytest.mark.parametrize("job", ["Loop", "Grind"])
def test_a_child_does_not_outlive_its_engine(job: str) -> None:
    """Not even in C code that lets no thread of Python run: the kernel's timer ends that."""
    command = [sys.executable, "-m", "tests.sandbox.orphan", job]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as engine:
        assert engine.stdout
        assert engine.stdin
        child = int(engine.stdout.readline())
        spent = psutil.Process(child).cpu_times().user
        until(lambda: psutil.Process(child).cpu_times().user > spent + 0.1, "the job is under way")
        engine.kill()
    until(lambda: not is_alive(child), "its end")
