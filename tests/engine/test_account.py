"""What an engine says of its own speed: tokens that follow another, apart from first ones, whose time is a prompt's."""

import pytest

from backends.engine.account import Account
from backends.engine.news import Counts, Said, Stepped
from backends.protocol import Cells, Drafting, KVLayout, Stats, Timings

COUNTS = Counts(0, 0, Cells(0, 0, 0), Drafting(), KVLayout.UNIFIED)
FIRST = Timings(prompt_n=500, cache_n=100, queue_ms=20.0, prompt_ms=280.0)


def said(tokens: int = 1, timings: Timings | None = None, drafted: int = 0) -> Said:
    return Said(1, [7] * tokens, drafted, 0, None, [], timings)


def stats(*steps: Stepped) -> Stats:
    account = Account(lambda: ())
    for step in steps:
        account.add(step)
    return account.stats(COUNTS)


def test_first_tokens_are_no_answers_speed() -> None:
    told = stats(
        Stepped([], 0, 400, 10.2, 0.2, 0.2),
        Stepped([said(timings=FIRST)], 1, 100, 10.3, 0.1, 0.1),
        Stepped([said()], 1, 0, 10.35, 0.04, 0.04),
        Stepped([said(3, drafted=3)], 3, 0, 10.40, 0.04, 0.04),
    )
    assert (told.num_tokens, told.num_following, told.num_following_steps) == (5, 4, 2)
    assert told.following_us == pytest.approx(100_000, abs=1), "from step to step: what lies between belongs to it"
    assert told.prompt_us == pytest.approx(300_000, abs=1)
    assert (told.num_answered, told.first_token_us, told.queue_us) == (1, 300_000, 20_000)


def test_a_pause_is_no_answers_time() -> None:
    told = stats(Stepped([said()], 1, 0, 10.0, 0.04, 0.04), Stepped([said()], 1, 0, 500.0, 0.04, 0.04))
    assert told.following_us == pytest.approx(80_000, abs=1)


def test_a_slow_machine_is_as_slow_as_its_steps() -> None:
    steps = [Stepped([said()], 1, 0, 10.0 + 3 * number, 2.9, 2.9) for number in range(3)]
    assert stats(*steps).following_us == pytest.approx(8_700_000, abs=1)


def test_a_new_answer_beside_others_counts_for_them() -> None:
    told = stats(
        Stepped([said()], 1, 0, 10.0, 0.04, 0.04),
        Stepped([said(), said(timings=FIRST)], 2, 50, 10.1, 0.1, 0.1),
    )
    assert (told.num_following, told.num_answered) == (2, 1)
    assert told.following_us == pytest.approx(140_000, abs=1)
