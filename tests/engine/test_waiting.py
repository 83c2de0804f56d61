"""Requests on their way to the engine: in whose order they are read, and how they leave before."""

import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, SimpleQueue

import pytest

from backends.engine.encoder import Encoder, Note
from backends.engine.runner import Lane
from backends.engine.stops import NO_STOPS
from backends.engine.waiting import Arrival, Waiting
from backends.fake.loader import FakeModel
from backends.protocol import Abort, EngineOptions, Failed, Finish, Generate, Load, Output, Priority
from tests.patience import PATIENCE as SECONDS


def request(uid: int, prompt: str = "text", priority: Priority = Priority.BATCH) -> Generate:
    return Generate(prompt, uid, priority=priority)


def plain(_request: Generate) -> Lane:
    return Lane.PLAIN


def uid_of(arrival: Arrival | None) -> int:
    assert arrival
    return arrival.request.uid


def test_the_window_goes_first_and_then_who_came_first() -> None:
    waiting = Waiting(plain)
    for uid, priority in enumerate([Priority.BATCH, Priority.WINDOW, Priority.BATCH, Priority.WINDOW]):
        waiting.add(request(uid, priority=priority))
    assert [uid_of(waiting.take(Lane.PLAIN)) for _ in range(4)] == [1, 3, 0, 2]


def test_clients_take_turns_and_who_comes_in_the_middle_of_one_is_next() -> None:
    waiting = Waiting(plain)

    def read() -> int:
        uid = uid_of(waiting.take(Lane.PLAIN))
        waiting.finish(uid, lambda: None)
        return uid

    for uid in range(64):
        waiting.add(Generate("text", uid, client=1))
    assert uid_of(waiting.take(Lane.PLAIN)) == 0
    waiting.add(Generate("text", 100, client=2))
    waiting.add(Generate("text", 101, client=2))
    waiting.add(Generate("text", 102, priority=Priority.WINDOW))
    assert waiting.call_off(0, lambda: None)
    waiting.add(Generate("text", 103))
    assert not waiting.finish(0, lambda: None)
    assert [read() for _ in range(7)] == [102, 100, 103, 1, 101, 2, 3]


def test_a_client_that_has_nothing_waiting_is_forgotten() -> None:
    waiting = Waiting(plain)
    for uid in range(1000):
        waiting.add(Generate("text", uid, client=uid))
        waiting.finish(uid_of(waiting.take(Lane.PLAIN)), lambda: None)
    assert not waiting._joined


def test_what_waits_or_is_in_hand_can_be_called_off_once_and_what_is_done_cannot() -> None:
    waiting, told = Waiting(plain), []
    for uid in range(3):
        waiting.add(request(uid))
    assert [uid_of(waiting.take(Lane.PLAIN)) for _ in range(2)] == [0, 1]
    assert waiting.finish(0, lambda: told.append("0 goes on"))
    for uid in (0, 1, 2, 3):
        waiting.call_off(uid, lambda uid=uid: told.append(f"{uid} ends"))  # type: ignore[misc]
    assert told == ["0 goes on", "1 ends", "2 ends"]
    assert not waiting.finish(1, lambda: told.append("1 goes on")), "it was called off in hand"
    assert not waiting.call_off(1, lambda: told.append("1 ends again"))
    assert len(told) == 3


def test_what_has_been_learnt_moves_those_that_wait_to_another_lane() -> None:
    known: set[str] = set()
    waiting = Waiting(lambda request: Lane.CHAT if request.prompt in known else Lane.SLOW)
    for uid, prompt in enumerate(["a", "b", "a"]):
        waiting.add(request(uid, prompt))
    assert uid_of(waiting.take(Lane.SLOW)) == 0
    known.add("a")
    waiting.sort_again(Lane.SLOW)
    assert uid_of(waiting.take(Lane.CHAT)) == 2
    assert uid_of(waiting.take(Lane.SLOW)) == 1


class SlowModel(FakeModel):
    """Reads a prompt that says so only when it is told to, and counts the samplers that are open."""

    def __init__(self) -> None:
        super().__init__(Load(Path("fake"), "fake", EngineOptions(context=64)), 0.0)
        self.begun, self.may_go_on = threading.Event(), threading.Event()
        self.open: set[object] = set()

    def lane(self, request: Generate) -> Lane:
        return Lane.SLOW if request.prompt == "slow" else Lane.PLAIN

    def encode(self, request: Generate, context: int | None = None) -> list[int]:
        if request.prompt == "slow":
            self.begun.set()
            assert self.may_go_on.wait(SECONDS)
        return super().encode(request, context)

    def sampler(self, request: Generate, tokens: list[int], max_tokens: int) -> "Opened":  # noqa: ARG002
        return Opened(self.open)


class Opened:
    def __init__(self, others: set[object]):
        self._others = others
        others.add(self)

    def close(self) -> None:
        self._others.remove(self)


@pytest.fixture
def slow_encoder() -> Iterator[tuple[Encoder, SlowModel, "SimpleQueue[Note]"]]:
    notes: SimpleQueue[Note] = SimpleQueue()
    model = SlowModel()
    encoder = Encoder(model, notes)
    yield encoder, model, notes
    model.may_go_on.set()
    encoder.close()
    model.close()


def test_a_slow_prompt_stands_in_nobodys_way_and_leaves_nothing_when_called_off(
    slow_encoder: tuple[Encoder, SlowModel, "SimpleQueue[Note]"],
) -> None:
    encoder, model, notes = slow_encoder
    for uid in (1, 2):
        encoder.add(request(uid, "slow"))
    assert model.begun.wait(SECONDS)
    encoder.add(request(3))
    seq, stops, _ = notes.get(timeout=SECONDS)  # type: ignore[misc]
    assert (seq.uid, stops) == (3, NO_STOPS)
    for uid in (1, 2):
        encoder.abort(Abort(uid))
        last = notes.get(timeout=SECONDS)
        assert isinstance(last, Output)
        assert (last.uid, last.finish) == (uid, Finish.ABORT)
    encoder.abort(Abort(3))
    assert notes.get(timeout=SECONDS) == Abort(3), "the engine has it"
    model.may_go_on.set()
    encoder.add(request(4, "slow"))
    last = notes.get(timeout=SECONDS)
    assert last[0].uid == 4, "nothing more was said of 1 and 2"  # type: ignore[index,union-attr]
    assert model.open == {seq.sampler, last[0].sampler}  # type: ignore[index,union-attr]
    with pytest.raises(Empty):
        notes.get_nowait()


def test_a_prompt_that_is_too_long_is_refused_with_both_numbers(
    slow_encoder: tuple[Encoder, SlowModel, "SimpleQueue[Note]"],
) -> None:
    encoder, _, notes = slow_encoder
    encoder.add(request(9, "x" * 100))
    failed = notes.get(timeout=SECONDS)
    assert isinstance(failed, Failed)
    assert failed.numbers == (101, 64)
