"""Engines that are stopped, stuck or broken, in real child processes: nobody waits for them."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from app.errors import EngineError, RequestError
from app.inference import engine_handle, engine_process
from app.inference.outbox import MAX_WAITING
from app.inference.preflight import Preflight
from app.inference.supervisor import EngineHandle, EngineState, Supervisor
from app.inference.watchdog import Patience
from backends.fake.loader import LONGEST_PIECE, answer_to
from backends.llama.selftest import write_tiny_model
from backends.protocol import EngineOptions, Failed, FailureKind, Finish, Generate, Output, Overflow
from tests.inference.conftest import SECONDS, Answer, ask, is_alive
from tests.patience import comes_back
from tests.patience import until as wait_until

resource = pytest.importorskip("resource", reason="Windows has no such limits, and cannot stop a process")

Load = Callable[..., EngineHandle]

CONTEXT = 100_000
IMPATIENT = Patience(silent=1.0, restart=3.0, step=1.5, start=20.0, tick=0.2)


@pytest.fixture
def stop() -> Iterator[Callable[[EngineHandle], int]]:
    """Stops an engine's process. Goes on with those that are still there after the test."""
    stopped: list[int] = []

    def stop(handle: EngineHandle) -> int:
        assert handle.pid is not None
        os.kill(handle.pid, signal.SIGSTOP)
        stopped.append(handle.pid)
        return handle.pid

    yield stop
    for pid in stopped:
        if is_alive(pid):
            os.kill(pid, signal.SIGCONT)


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Supervisor]:
    supervisor = Supervisor(tmp_path / "logs", patience=IMPATIENT)
    yield supervisor
    supervisor.close()


def load_in(supervisor: Supervisor, file: str = "fake", name: str = "fake") -> EngineHandle:
    handle = supervisor.load(name, Path(file), EngineOptions(context=CONTEXT), backend="fake")
    handle.wait_ready(SECONDS)
    return handle


def test_whoever_asks_a_stopped_engine_is_not_held_up(load: Load, stop: Callable[[EngineHandle], int]) -> None:
    handle = load(context=CONTEXT)
    stop(handle)
    answers: list[Answer] = []
    comes_back(lambda: answers.extend(ask(handle, "x" * 90_000) for _ in range(40)))
    for answer in answers:
        comes_back(lambda answer=answer: handle.abort(answer.uid))  # type: ignore[misc]
    assert all(answer.wait().last.finish is Finish.ABORT for answer in answers)  # type: ignore[union-attr]


def test_a_stopped_engine_with_requests_before_it_is_closed_in_time(
    load: Load, stop: Callable[[EngineHandle], int]
) -> None:
    handle = load(context=CONTEXT)
    pid = stop(handle)
    answers = [ask(handle, "x" * 90_000) for _ in range(40)]
    comes_back(handle.close)
    assert not is_alive(pid)
    assert all(answer.wait().last.finish is Finish.ABORT for answer in answers)  # type: ignore[union-attr]


def test_three_stopped_engines_close_side_by_side(supervisor: Supervisor, stop: Callable[[EngineHandle], int]) -> None:
    handles = [load_in(supervisor, name=f"fake {number}") for number in range(3)]
    pids = [stop(handle) for handle in handles]
    comes_back(supervisor.close)
    assert not any(is_alive(pid) for pid in pids)
    with pytest.raises(EngineError, match="ending"):
        supervisor.load("late", Path("fake"), backend="fake")


def test_too_many_requests_for_a_stopped_engine_are_refused(load: Load, stop: Callable[[EngineHandle], int]) -> None:
    handle = load(context=CONTEXT)
    stop(handle)
    with pytest.raises(EngineError, match="too many requests"):
        ask_for_ever(handle)


def ask_for_ever(handle: EngineHandle) -> None:
    for _ in range(10 * MAX_WAITING):
        ask(handle, "x" * 1000)


def test_stop_ends_an_answer_though_the_engine_does_nothing(load: Load, stop: Callable[[EngineHandle], int]) -> None:
    handle = load("fake-5ms")
    answer = ask(handle, "long 50")
    assert answer.begun.wait(SECONDS)
    pid = stop(handle)
    handle.abort(answer.uid)  # type: ignore[attr-defined]
    assert answer.ended.wait(SECONDS), "the engine was waited for"
    assert answer.last.finish is Finish.ABORT  # type: ignore[union-attr]
    num_events = len(answer.events)
    os.kill(pid, signal.SIGCONT)
    assert ask(handle, "short").wait().text == answer_to("short").decode()
    assert len(answer.events) == num_events, "words after the end"


def test_stop_on_a_healthy_engine_brings_the_account(load: Load) -> None:
    handle = load("fake-5ms")
    answer = ask(handle, "long 50")
    assert answer.begun.wait(SECONDS)
    handle.abort(answer.uid)  # type: ignore[attr-defined]
    last = answer.wait().last
    assert isinstance(last, Output)
    assert last.timings is not None


@pytest.mark.parametrize("prompt", ["x" * (CONTEXT * LONGEST_PIECE + 1), (7,) * (CONTEXT + 1)], ids=["text", "tokens"])
def test_a_prompt_that_cannot_fit_is_refused_before_anything_is_sent(load: Load, prompt: object) -> None:
    handle, answer = load(context=CONTEXT), Answer()
    with pytest.raises(RequestError) as refused:
        handle.submit(Generate(prompt), answer)  # type: ignore[arg-type]
    assert refused.value.kind is FailureKind.CONTEXT_LENGTH
    assert refused.value.numbers == (CONTEXT + (0 if isinstance(prompt, str) else 1), CONTEXT)
    assert not answer.events


def test_a_rolling_prompt_may_be_some_times_longer(load: Load) -> None:
    handle, answer = load(context=1000), Answer()
    handle.submit(Generate((7,) * 7000, overflow=Overflow.ROLL, max_tokens=1), answer)
    assert isinstance(answer.wait().last, Output)
    with pytest.raises(RequestError):
        handle.submit(Generate((7,) * 8001, overflow=Overflow.ROLL), answer)


def test_a_silent_engine_is_seen_and_seen_to_come_back(
    watched: Supervisor, stop: Callable[[EngineHandle], int]
) -> None:
    leave = watched.attend()
    told: list[float | None] = []
    watched.subscribe(lambda snapshot: told.append(snapshot.silent_seconds))
    handle = load_in(watched)
    pid = stop(handle)
    wait_until(lambda: (handle.snapshot.silent_seconds or 0.0) >= IMPATIENT.restart + 1, "the silence")
    assert handle.snapshot.state is EngineState.READY, "a person is there to decide"
    os.kill(pid, signal.SIGCONT)
    wait_until(lambda: not handle.snapshot.is_silent, "its voice")
    assert told[-1] is None
    assert handle.pid == pid
    leave()


def test_a_silent_engine_that_nobody_attends_is_started_anew(
    watched: Supervisor, stop: Callable[[EngineHandle], int]
) -> None:
    handle = load_in(watched)
    pid = stop(handle)
    answer = ask(handle, "anyone?").wait()
    assert isinstance(answer.last, Failed)
    assert answer.last.kind is FailureKind.ENGINE_DIED
    assert "had not answered for" in answer.last.message
    handle.wait_ready(SECONDS)
    assert ask(handle, "again").wait().text == answer_to("again").decode()
    assert handle.pid != pid
    assert not is_alive(pid)


def test_a_person_restarts_a_silent_engine(watched: Supervisor, stop: Callable[[EngineHandle], int]) -> None:
    leave = watched.attend()
    handle = load_in(watched)
    pid = stop(handle)
    handle.restart("it had not answered for 12 s and was restarted", is_asked=True)
    wait_until(lambda: handle.pid != pid, "the next process")
    handle.wait_ready(SECONDS)
    assert ask(handle, "again").wait().text == answer_to("again").decode()
    leave()


def test_a_load_that_hangs_is_said_and_can_be_begun_again(watched: Supervisor) -> None:
    leave = watched.attend()
    handle = watched.load("stuck", Path("stuck"), backend="fake")
    wait_until(lambda: handle.snapshot.is_silent, "the silence")
    pid = handle.pid
    handle.restart("it had not answered and was restarted", is_asked=True)
    wait_until(lambda: handle.pid != pid, "the next process")
    assert handle.snapshot.state is EngineState.LOADING
    comes_back(handle.close)
    leave()


def test_a_long_step_is_said_though_the_engine_lives(watched: Supervisor) -> None:
    handle = load_in(watched, "fake-4000ms")
    answer = ask(handle, "hello")
    wait_until(lambda: handle.snapshot.is_silent, "the long step")
    assert handle.snapshot.state is EngineState.READY
    wait_until(lambda: answer.events and not handle.snapshot.is_silent, "its end")
    assert isinstance(answer.events[0], Output), "nothing was restarted: it only took long"


@contextmanager
def no_file_more() -> Iterator[None]:
    """As after a thousand silent connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 1, hard))
    fillers: list[int] = []
    try:
        with suppress(OSError):
            while True:
                fillers.append(os.dup(0))
        yield
    finally:
        for filler in fillers:
            os.close(filler)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_too_many_open_files_fail_a_load_with_a_sentence(supervisor: Supervisor) -> None:
    with no_file_more():
        handle = supervisor.load("fake", Path("fake"), backend="fake")
        with pytest.raises(EngineError, match="too many files"):
            handle.wait_ready(SECONDS)
    assert handle.snapshot.state is EngineState.FAILED
    assert ask(load_in(supervisor), "again").wait().text == answer_to("again").decode()


@pytest.mark.parametrize("lasts", [False, True])
def test_a_death_while_no_file_can_be_opened_is_waited_out_for_a_while(
    load: Load, monkeypatch: pytest.MonkeyPatch, lasts: bool
) -> None:
    monkeypatch.setattr(engine_handle, "PAUSES", (0.1, 0.1) if lasts else (0.1,) * 600)
    handle = load()
    pid = handle.pid
    assert pid is not None
    with no_file_more():
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: handle.snapshot.crash, "the death")
        if lasts:
            wait_until(lambda: handle.snapshot.state is EngineState.FAILED, "the end of its patience")
            assert "too many files" in (handle.snapshot.error or "")
            return
        time.sleep(0.3)
        assert handle.snapshot.state is EngineState.LOADING
    handle.wait_ready(SECONDS)
    assert ask(handle, "again").wait().text == answer_to("again").decode()


def test_a_log_that_cannot_be_written_fails_a_load_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    supervisor = Supervisor(tmp_path / "file" / "logs")
    handle = supervisor.load("fake", Path("fake"), backend="fake")
    with pytest.raises(EngineError, match="could not be started"):
        handle.wait_ready(SECONDS)
    assert handle.snapshot.state is EngineState.FAILED
    supervisor.close()


def test_a_verdict_that_cannot_be_kept_costs_no_model(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    write_tiny_model(tmp_path / "model.gguf")
    options, _ = Preflight(tmp_path / "file", tmp_path / "logs")(tmp_path / "model.gguf", EngineOptions())
    assert options.flash_cost is not None


@pytest.mark.parametrize("entry", ["talks_nonsense", "never_speaks"])
def test_an_engine_that_is_none_ends_in_a_sentence(
    watched: Supervisor, entry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_process, "ENTRY", f"tests.inference.hangs:{entry}")
    supervisor = Supervisor(watched._logs, patience=Patience(restart=2.0, start=2.0, tick=0.2))
    handle = supervisor.load("odd", Path("fake"), backend="fake")
    with pytest.raises(EngineError, match=r"could not be read|not answered"):
        handle.wait_ready(SECONDS)
    assert handle.snapshot.state is EngineState.FAILED
    supervisor.close()


def test_listeners_and_readers_that_fail_take_nothing_else_with_them(supervisor: Supervisor) -> None:
    def fails(_: object) -> None:
        raise ValueError("a defect")

    supervisor.subscribe(fails)
    handle = load_in(supervisor)
    handle.submit(Generate("hello"), fails)
    assert ask(handle, "hello").wait().text == answer_to("hello").decode()
