"""What the engine's only writer says at once, and what together."""

import multiprocessing
from collections.abc import Iterable, Iterator
from multiprocessing.connection import Connection

import pytest

from backends.engine import sender as senders
from backends.engine.news import Again, News, Told
from backends.engine.sender import MOST_TOGETHER, Sender
from backends.protocol import Event, Failed, FailureKind, Output, Outputs

QUICK, FOR_EVER = 1.0, 3600.0  # seconds: of a step, and of a rest that nobody ends
LAST = Told(Failed(1, FailureKind.INTERNAL, "the end"))


def events(news: News) -> Iterable[Event]:
    if isinstance(news, Again):
        return (Outputs(tuple(Output(uid, str(*said), 1) for uid, said in zip(news.uids, news.sampled, strict=True))),)
    assert isinstance(news, Told)
    assert isinstance(news.event, Failed)
    return (news.event,)


def again(token: int, step_seconds: float = QUICK, num_answers: int = 1) -> Again:
    return Again(tuple(range(num_answers)), [[token]] * num_answers, 0.0, step_seconds, step_seconds)


@pytest.fixture
def pipe() -> Iterator[tuple[Connection, Connection]]:
    reader, writer = multiprocessing.Pipe(duplex=False)
    with reader, writer:
        yield reader, writer


@pytest.fixture
def sender(pipe: tuple[Connection, Connection], monkeypatch: pytest.MonkeyPatch) -> Iterator[Sender]:
    monkeypatch.setattr(senders, "TOGETHER_SECONDS", FOR_EVER)
    monkeypatch.setattr(senders, "MOST_TOGETHER", int(FOR_EVER))
    made = Sender(pipe[1])
    made.begin(events)
    yield made
    made.close()


def texts(event: Event) -> list[str]:
    assert isinstance(event, Outputs)
    return [output.text for output in event.outputs]


def test_quick_steps_are_told_together_and_with_whatever_is_in_a_hurry(
    pipe: tuple[Connection, Connection], sender: Sender
) -> None:
    reader, _ = pipe
    sender.tell_again(again(1))
    assert texts(reader.recv()) == ["1"], "the first one does not wait"
    sender.tell_again(again(2))
    sender.tell_again(again(3))
    sender.tell(LAST)
    assert texts(reader.recv()) == ["2", "3"]
    assert reader.recv() == LAST.event


def test_slow_steps_are_told_one_by_one(pipe: tuple[Connection, Connection], sender: Sender) -> None:
    reader, _ = pipe
    for token in range(3):
        sender.tell_again(again(token, step_seconds=FOR_EVER))
        assert texts(reader.recv()) == [str(token)]


def test_what_waits_is_told_before_the_end(pipe: tuple[Connection, Connection], sender: Sender) -> None:
    reader, _ = pipe
    sender.tell_again(again(1))
    assert texts(reader.recv()) == ["1"]
    sender.tell_again(again(2))
    sender.close()
    assert texts(reader.recv()) == ["2"]


def test_one_message_has_a_bound(pipe: tuple[Connection, Connection], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of steps, whatever the number of answers."""
    reader, writer = pipe
    made = Sender(writer)
    made.begin(events)
    monkeypatch.setattr(senders, "TOGETHER_SECONDS", 0.0)  # no rest
    num_steps = 3 * MOST_TOGETHER
    for token in range(num_steps):
        made.tell_again(again(token, num_answers=2))
    made.close()
    said: list[str] = []
    while len(said) < 2 * num_steps:
        said += (together := texts(reader.recv()))
        assert len(together) <= 2 * MOST_TOGETHER
    assert said == [str(token) for token in range(num_steps) for _ in range(2)]
