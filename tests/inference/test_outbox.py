"""What waits for a process that does not read: counted, taken back, dropped at the end."""

import multiprocessing
from collections.abc import Iterator
from multiprocessing.connection import Connection

import pytest

from app.inference.outbox import MAX_CHARACTERS, MAX_WAITING, Outbox
from backends.protocol import Abort, Close, Generate

PIPE = 1_000_000  # characters that no pipe takes at once


@pytest.fixture
def pipe() -> Iterator[tuple[Connection, Connection]]:
    ours, theirs = multiprocessing.Pipe()
    yield ours, theirs
    ours.close()
    theirs.close()


@pytest.fixture
def lost() -> list[int]:
    return []


@pytest.fixture
def outbox(pipe: tuple[Connection, Connection], lost: list[int]) -> Iterator[Outbox]:
    outbox = Outbox(pipe[0], "test", lost.append)
    yield outbox
    pipe[1].close()
    outbox.leave()


def ask(uid: int, size: int = 10) -> Generate:
    return Generate("x" * size, uid=uid)


def begin_to_write(pipe: tuple[Connection, Connection], outbox: Outbox, uid: int) -> None:
    assert outbox.put(ask(uid, PIPE))
    assert pipe[1].poll(10.0)


def test_an_aborted_request_that_waits_is_never_sent(pipe: tuple[Connection, Connection], outbox: Outbox) -> None:
    begin_to_write(pipe, outbox, 1)
    assert all(outbox.put(ask(uid)) for uid in (2, 3))
    assert outbox.abort(2), "it lay there"
    assert not outbox.abort(1), "it is being written"
    assert [pipe[1].recv().uid for _ in range(3)] == [1, 3, 1]


def test_an_abort_of_what_was_sent_is_sent_too(pipe: tuple[Connection, Connection], outbox: Outbox) -> None:
    outbox.put(ask(1))
    assert pipe[1].recv().uid == 1
    assert not outbox.abort(1)
    assert pipe[1].recv() == Abort(1)


def test_so_many_may_wait_and_no_more(pipe: tuple[Connection, Connection], outbox: Outbox) -> None:
    begin_to_write(pipe, outbox, 0)
    assert sum(outbox.put(ask(uid)) for uid in range(1, 2 * MAX_WAITING)) == MAX_WAITING


def test_so_much_may_wait_and_no_more(pipe: tuple[Connection, Connection], outbox: Outbox) -> None:
    assert outbox.put(ask(0, MAX_CHARACTERS + 1)), "alone, any that fits the model"
    assert not outbox.put(ask(1, 10))
    assert pipe[1].recv().uid == 0
    for uid in (2, 3):
        while not outbox.put(ask(uid)):  # its writer is just coming back
            pass
        assert pipe[1].recv().uid == uid


def test_at_the_end_close_goes_before_all_that_waits(pipe: tuple[Connection, Connection], outbox: Outbox) -> None:
    begin_to_write(pipe, outbox, 0)
    for uid in range(1, 5):
        outbox.put(ask(uid, PIPE))
    outbox.close()
    assert pipe[1].recv().uid == 0
    assert pipe[1].recv() == Close()
    assert not outbox.put(ask(9))


def test_what_cannot_be_packed_is_told_and_the_next_goes_on(
    pipe: tuple[Connection, Connection], outbox: Outbox, lost: list[int]
) -> None:
    outbox.put(Generate((lambda: None,), uid=4))  # type: ignore[arg-type]
    outbox.put(ask(5))
    assert pipe[1].recv().uid == 5
    assert lost == [4]
