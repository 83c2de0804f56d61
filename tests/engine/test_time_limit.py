"""An answer that has a limit of time ends when it has had it, but never in the middle of its first line."""

from backends.engine.answers import Answers
from backends.engine.news import Begun, Said, Stepped
from backends.engine.stops import Stops
from backends.protocol import Finish, Output, Timings

END = 256


def answers(stopped: list[int], max_seconds: float | None) -> Answers:
    told = Answers(lambda token: bytes([token]), stopped.append)
    told.begin(Begun(1, frozenset({END}), Stops(), tells_tokens=True, max_seconds=max_seconds))
    return told


def say(told: Answers, tokens: list[int], now: float, *, is_first: bool = False) -> Output:
    said = Said(1, tokens, 0, 0, None, [], Timings() if is_first else None)
    (output,) = told.say(Stepped([said], len(tokens), 0, now, 0.0, 0.0))
    return output


def test_it_ends_late_once_a_line_has_ended() -> None:
    stopped: list[int] = []
    told = answers(stopped, 1.0)
    assert say(told, [*b"a"], 10.0, is_first=True).finish is None
    assert say(told, [*b"b"], 12.0).finish is None, "late, but its first line goes on"
    last = say(told, [*b"\nc"], 12.1)
    assert (last.finish, last.text, last.tokens, stopped) == (Finish.LENGTH, "\nc", (10, 99), [1])


def test_it_goes_on_while_it_has_time_or_no_limit() -> None:
    for limit in (5.0, None):
        told = answers([], limit)
        say(told, [*b"a\n"], 10.0, is_first=True)
        assert say(told, [*b"b"], 12.0).finish is None


def test_the_token_that_ends_it_is_not_told() -> None:
    told = answers([], None)
    assert say(told, [97, END], 10.0, is_first=True).tokens == (97,)
