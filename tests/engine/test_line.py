"""Who waits: what is urgent goes first, the rest as it came, each client's one after the other."""

from backends.engine.line import Line
from backends.engine.sequence import Sequence
from backends.protocol import Generate, Priority


def seq(priority: Priority = Priority.BATCH, client: int | None = None) -> Sequence:
    return Sequence.of(Generate((1,), priority=priority, client=client), [1], 16, frozenset(), frozenset())


def popped(line: Line) -> list[Sequence]:
    line.check_integrity()
    return [line.pop() for _ in range(len(line))]


def test_what_is_urgent_goes_before_all_that_came_earlier() -> None:
    line, batch = Line(), [seq(), seq(client=1), seq(client=1)]
    window = seq(Priority.WINDOW)
    for each in (*batch, window):
        line.add(each)
    assert line.first is window
    assert popped(line) == [window, *batch]


def test_what_is_urgent_does_not_stand_behind_its_own_client() -> None:
    line, batch = Line(), [seq(client=1), seq(client=1)]
    window = seq(Priority.WINDOW, client=1)
    for each in (*batch, window):
        line.add(each)
    assert popped(line) == [window, *batch]


def test_who_comes_back_stands_where_it_stood_and_no_nearer_than_its_priority() -> None:
    line, early, window = Line(), seq(), seq(Priority.WINDOW)
    line.add(early)
    assert line.pop() is early
    line.add(window)
    line.put_back(early)
    assert popped(line) == [window, early]
