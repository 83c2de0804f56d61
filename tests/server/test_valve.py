"""What lies unread is bounded, whatever an engine makes of a pause."""

import asyncio
import threading
from queue import SimpleQueue

import pytest

from app.server.core.mailbox import Mailbox
from app.server.core.valve import OPEN_AT, SHUT_AT, Valve, cost
from backends.protocol import Chance, Output, TokenLogprob
from tests.patience import PATIENCE as SECONDS


@pytest.fixture
def said() -> "SimpleQueue[str]":
    return SimpleQueue()


@pytest.fixture
def valve(said: "SimpleQueue[str]") -> Valve:
    return Valve(lambda: said.put("pause"), lambda: said.put("resume"))


def test_it_shuts_when_much_is_unread_and_opens_when_most_is_read(valve: Valve, said: "SimpleQueue[str]") -> None:
    valve.add(SHUT_AT)
    valve.add(1)
    assert said.get(timeout=SECONDS) == "pause"
    valve.take(SHUT_AT - OPEN_AT)
    valve.take(2)
    assert said.get(timeout=SECONDS) == "resume"
    assert said.empty()


def test_without_a_thread_it_is_told_all_the_same(
    valve: Valve, said: "SimpleQueue[str]", monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_thread(_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("app.server.core.valve.start_thread", no_thread)
    valve.add(SHUT_AT + 1)
    assert said.get(timeout=SECONDS) == "pause"
    valve.take(SHUT_AT)
    assert said.get(timeout=SECONDS) == "resume"


def test_a_letter_that_fails_does_not_keep_back_those_behind_it(caplog: pytest.LogCaptureFixture) -> None:
    class Quotients:
        """Reads a letter as what 1 is divided by."""

        def __init__(self) -> None:
            self.read: list[float] = []
            self.has_rung = asyncio.Event()

        def put(self, index: int, event: int) -> None:
            self.read.append(index / event)

        def ring(self) -> None:
            self.has_rung.set()

    async def run() -> list[float]:
        mailbox, reader = Mailbox(), Quotients()
        for divisor in (0, 2):
            mailbox.post(reader, 1, divisor)
        await asyncio.wait_for(reader.has_rung.wait(), SECONDS)
        return reader.read

    assert asyncio.run(run()) == [0.5]
    assert "could not be read" in caplog.text


def test_an_engine_that_goes_on_is_told_again(valve: Valve, said: "SimpleQueue[str]") -> None:
    valve.add(SHUT_AT + 1)
    assert said.get(timeout=SECONDS) == "pause"
    valve.add(SHUT_AT)
    assert said.empty()
    valve.add(1)
    assert said.get(timeout=SECONDS) == "pause"


def test_more_answers_of_a_shut_valve_are_paused_as_well(valve: Valve, said: "SimpleQueue[str]") -> None:
    valve.repeat()
    valve.add(SHUT_AT + 1)
    assert said.get(timeout=SECONDS) == "pause"
    valve.repeat()
    assert said.get(timeout=SECONDS) == "pause"


def test_the_last_word_is_the_latest(said: "SimpleQueue[str]") -> None:
    """A thread that pauses is slow; meanwhile all has been read."""
    begun, may_end = threading.Event(), threading.Event()

    def pause() -> None:
        begun.set()
        assert may_end.wait(SECONDS)
        said.put("pause")

    valve = Valve(pause, lambda: said.put("resume"))
    valve.add(SHUT_AT + 1)
    assert begun.wait(SECONDS)
    valve.take(SHUT_AT + 1)
    may_end.set()
    assert [said.get(timeout=SECONDS), said.get(timeout=SECONDS)] == ["pause", "resume"]


def test_logprobs_count() -> None:
    chances = tuple(Chance(b"a", -1.0) for _ in range(20))
    plain, rich = Output(1, "a", 1), Output(1, "a", 1, logprobs=(TokenLogprob(b"a", -1.0, chances),))
    assert cost(rich) > cost(plain) + 1000
