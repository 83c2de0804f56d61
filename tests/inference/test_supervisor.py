"""Engines in real child processes: answers, refusals, deaths, ends."""

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from app.errors import EngineError, UnknownModelError
from app.inference.restarts import Restarts
from app.inference.supervisor import EngineHandle, EngineState, Supervisor
from backends.fake.loader import answer_to
from backends.protocol import EngineOptions, Failed, FailureKind, Finish, Output, Timings
from tests.inference.conftest import SECONDS, ask, is_alive
from tests.patience import until

Load = Callable[..., EngineHandle]


def test_an_answer_arrives_whole_and_with_its_account(load: Load) -> None:
    answer = ask(load(draft_length=4), "héllo 🙂").wait()
    assert answer.text == answer_to("héllo 🙂").decode()
    assert isinstance(answer.last, Output)
    assert answer.last.finish is Finish.STOP
    timings = answer.last.timings
    assert isinstance(timings, Timings)
    assert timings.predicted_n == len(answer_to("héllo 🙂")) + 1
    assert timings.draft_accepted_n > 0


def test_answers_in_one_batch_are_what_each_is_alone(load: Load) -> None:
    handle = load(parallel=3)
    questions = [f"question {n}, long {n + 1}" for n in range(7)]
    answers = [ask(handle, question) for question in questions]
    assert [a.wait().text for a in answers] == [answer_to(q).decode() for q in questions]


def test_the_second_turn_reuses_the_first(load: Load) -> None:
    handle = load()
    ask(handle, "same beginning, one").wait()
    last = ask(handle, "same beginning, two").wait().last
    assert isinstance(last, Output)
    assert last.timings is not None
    assert last.timings.cache_n == len("user: same beginning, ")


def test_an_aborted_answer_ends_at_once_and_leaves_the_others_alone(load: Load) -> None:
    handle = load("fake-5ms")
    long, short = ask(handle, "long 50"), ask(handle, "short")
    assert long.begun.wait(SECONDS)
    handle.abort(long.uid)  # type: ignore[attr-defined]
    assert isinstance(long.wait().last, Output)
    assert long.last.finish is Finish.ABORT  # type: ignore[union-attr]
    assert answer_to("long 50").decode().startswith(long.text)
    assert short.wait().text == answer_to("short").decode()


def test_a_prompt_longer_than_the_context_is_refused_with_both_numbers(load: Load) -> None:
    answer = ask(load(context=100), "x" * 200).wait()
    assert isinstance(answer.last, Failed)
    assert answer.last.kind is FailureKind.CONTEXT_LENGTH
    assert answer.last.numbers == (len("user: \n") + 201, 100)
    assert "100" in answer.last.message


def test_an_answer_ends_where_the_context_is_full(load: Load) -> None:
    last = ask(load(context=300), "long 50").wait().last
    assert isinstance(last, Output)
    assert last.finish is Finish.LENGTH


def test_stop_strings_end_an_answer(load: Load) -> None:
    answer = ask(load(), "long 5", stop=("shares every",)).wait()
    assert answer.text == "The quick engine "
    assert answer.last.finish is Finish.STOP  # type: ignore[union-attr]


def test_a_refused_load_says_why_and_is_not_tried_again(supervisor: Supervisor) -> None:
    handle = supervisor.load("bad", Path("bad.gguf"), backend="fake")
    with pytest.raises(EngineError, match=r"bad\.gguf is not a model"):
        handle.wait_ready(SECONDS)
    assert handle.snapshot.state is EngineState.FAILED


def test_a_death_during_the_first_load_is_reported_and_not_tried_again(supervisor: Supervisor) -> None:
    handle = supervisor.load("crash", Path("crash.gguf"), backend="fake")
    with pytest.raises(EngineError, match="stopped itself") as caught:
        handle.wait_ready(SECONDS)
    assert caught.value.crash is not None
    assert handle.snapshot.state is EngineState.FAILED


@pytest.mark.parametrize(("order", "cause"), [("!crash", "stopped itself"), ("!kill", "killed from outside")])
def test_a_death_in_mid_answer_keeps_the_part_and_the_next_request_works(load: Load, order: str, cause: str) -> None:
    handle = load()
    answer = ask(handle, order).wait()
    assert answer.text, "what had been said stays"
    assert isinstance(answer.last, Failed)
    assert answer.last.kind is FailureKind.ENGINE_DIED
    assert cause in answer.last.message
    handle.wait_ready(SECONDS)
    assert ask(handle, "again").wait().text == answer_to("again").decode()


def test_an_engine_that_cannot_read_what_it_is_told_ends_with_a_sentence_and_comes_back(load: Load) -> None:
    handle = load()
    pid = handle.pid
    assert pid is not None
    assert handle._process
    handle._process.connection.send_bytes(b"no pickle")
    _wait_for_restart(handle, pid)
    assert not is_alive(pid)
    assert "UnpicklingError" in handle.log_path.with_suffix(".previous.log").read_text()
    assert ask(handle, "again").wait().text == answer_to("again").decode()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")
def test_killed_at_random_moments_it_always_comes_back(load: Load) -> None:
    handle = load("fake-1ms")
    pick = random.Random(20)
    for _ in range(20):
        answers = [ask(handle, f"long {n}") for n in (3, 5, 8)]
        pid = handle.pid
        assert pid is not None
        time.sleep(pick.random() * 0.3)
        os.kill(pid, signal.SIGKILL)
        for answer in answers:
            answer.wait()
        handle._restarts = Restarts()  # so many in a minute are this test's doing, not the engine's
        _wait_for_restart(handle, pid)
        assert not is_alive(pid)
    assert ask(handle, "still here").wait().text == answer_to("still here").decode()


def test_an_engine_that_keeps_dying_stays_down_and_says_so(load: Load) -> None:
    handle = load()
    for _ in range(5):
        ask(handle, "!kill").wait()
        if handle.snapshot.state is not EngineState.FAILED:
            handle.wait_ready(SECONDS)
    with pytest.raises(EngineError, match="The engine stopped"):
        ask(handle, "hello")
    assert handle.snapshot.state is EngineState.FAILED


def test_closing_ends_the_process_and_every_answer(load: Load, supervisor: Supervisor) -> None:
    handle = load("fake-5ms")
    pid, answer = handle.pid, ask(handle, "long 100")
    assert answer.begun.wait(SECONDS)
    supervisor.unload("fake")
    assert answer.wait().last.finish is Finish.ABORT  # type: ignore[union-attr]
    assert pid is not None
    assert not is_alive(pid)
    with pytest.raises(UnknownModelError, match="fake"):
        supervisor.get("fake")
    with pytest.raises(EngineError):
        ask(handle, "anyone?")


def test_loading_the_same_name_again_replaces_the_engine(load: Load, supervisor: Supervisor) -> None:
    first = load()
    pid = first.pid
    second = load(context=128)
    assert supervisor.engines() == (second,)
    assert pid is not None
    assert not is_alive(pid)


def test_listeners_hear_the_load_and_the_pulse(supervisor: Supervisor) -> None:
    states = []
    supervisor.subscribe(lambda snapshot: states.append((snapshot.state, snapshot.stats is not None)))
    handle = supervisor.load("fake", Path("fake"), EngineOptions(), backend="fake")
    handle.wait_ready(SECONDS)
    ask(handle, "hello").wait()
    until(lambda: (EngineState.READY, True) in states, states)
    assert states[0] == (EngineState.LOADING, False)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")
def test_no_engine_survives_the_application(tmp_path: Path) -> None:
    pick = random.Random(4)
    context = multiprocessing.get_context("spawn")
    for moment in range(20):
        ours, theirs = context.Pipe()
        application = context.Process(target=_application, args=(theirs, tmp_path / f"logs {moment}"))
        application.start()
        theirs.close()
        engine = ours.recv()
        time.sleep(pick.random() * 0.2)
        os.kill(application.pid or 0, signal.SIGKILL)
        application.join()
        until(partial(_is_gone, engine), f"the engine's end (moment {moment})")
        ours.close()


def _is_gone(pid: int) -> bool:
    return not is_alive(pid)


def _application(connection: "multiprocessing.connection.Connection", logs: Path) -> None:
    """An application that is busy with an answer when it is killed."""
    supervisor = Supervisor(logs)
    handle = supervisor.load("fake", Path("fake-2ms"), backend="fake")
    handle.wait_ready(SECONDS)
    ask(handle, "long 200")
    connection.send(handle.pid)
    time.sleep(SECONDS)


def _wait_for_restart(handle: EngineHandle, old_pid: int) -> None:
    until(lambda: handle.pid != old_pid, "the next process")
    handle.wait_ready(SECONDS)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no such signals")
def test_ctrl_c_in_the_terminal_is_not_for_the_engine(load: Load) -> None:
    handle = load("fake-2ms")
    answer = ask(handle, "long 5")
    assert answer.begun.wait(SECONDS)
    assert handle.pid is not None
    os.kill(handle.pid, signal.SIGINT)
    assert answer.wait().text == answer_to("long 5").decode()


def test_a_load_says_that_prompts_cannot_be_kept(load: Callable[..., EngineHandle], tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "prompts").symlink_to(tmp_path / "precious")
    handle = load(prompt_cache_folder=tmp_path / "prompts")
    (note,) = handle.wait_ready().notes
    assert note.startswith("Prompts are not kept on disk: ")
    assert "is a link" in note
    assert list((tmp_path / "precious").iterdir()) == []
