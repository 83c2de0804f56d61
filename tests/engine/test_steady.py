"""Steps in which nothing changes do without the scheduler, and say what they would have said with it."""

import random
from collections.abc import Callable
from collections.abc import Sequence as Many
from pathlib import Path

import pytest

from backends.drafting.costs import StepCosts
from backends.drafting.drafter import LookupDrafter
from backends.drafting.speculation import RECHECK_INTERVAL, Speculation
from backends.engine.engine import Engine
from backends.engine.runner import Step
from backends.engine.sequence import Sequence
from backends.engine.steady import LEARNING, MOST
from backends.fake.loader import FakeModel
from backends.protocol import DraftMode, EngineOptions, Load, Priority
from tests.engine.costs import costs

NUM_TOKENS = 200
NextToken = Callable[[list[int]], int]


def engine_of(next_token: NextToken, mode: DraftMode, num_running: int = 1, draft_length: int | None = None) -> Engine:
    options = EngineOptions(context=1024, parallel=num_running, draft=mode, draft_length=draft_length)
    model = FakeModel(Load(Path("fake"), "fake", options), 0.0)
    model.runner._next_token = next_token
    return Engine(model, options)


def never_the_same(prefix: list[int]) -> int:
    """No three tokens come twice within 250."""
    return 7 * len(prefix) % 251


def now_and_then_the_same(prefix: list[int]) -> int:
    """Stretches of what was said before, between others."""
    return 7 * len(prefix) % 251 if len(prefix) % 40 < 20 else 7 * (len(prefix) % 40) % 251


class Asked:
    """Counts the calls of a method."""

    def __init__(self, owner: object, name: str):
        self._method = getattr(owner, name)
        self.times = 0
        setattr(owner, name, self)

    def __call__(self, *arguments: object) -> object:
        self.times += 1
        return self._method(*arguments)


def finish(engine: Engine, *seqs: Sequence) -> int:
    """How many steps they took."""
    for seq in seqs:
        engine.add(seq)
    num_steps = 0
    while not all(seq.finish for seq in seqs):
        engine.step()
        num_steps += 1
    return num_steps


@pytest.mark.parametrize("mode", [DraftMode.OFF, DraftMode.LOOKUP])
@pytest.mark.parametrize("draft_length", [None, 4])
def test_where_nothing_is_to_be_guessed_the_scheduler_is_hardly_asked(
    mode: DraftMode, draft_length: int | None
) -> None:
    engine = engine_of(never_the_same, mode, 2, draft_length)
    asked = Asked(engine.scheduler, "schedule")
    seqs = [Sequence(uid, [1000 + uid, 2000 + uid], NUM_TOKENS) for uid in range(2)]
    num_steps = finish(engine, *seqs)
    assert num_steps == NUM_TOKENS
    assert asked.times <= 4 + NUM_TOKENS / MOST
    assert all(seq.completion == [7 * n % 251 for n in range(2, 2 + NUM_TOKENS)] for seq in seqs)


def test_steady_steps_come_in_the_order_of_their_slots_whoever_came_first(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_of(never_the_same, DraftMode.OFF, 4)
    runner, orders = engine.model.runner, list[list[int]]()

    def run(steps: Many[Step]) -> list[list[int]]:
        orders.append([step.seq.slot or 0 for step in steps])
        return asked(steps)

    asked = runner.run
    monkeypatch.setattr(runner, "run", run)
    finish(engine, *(Sequence(uid, [1000 + uid], NUM_TOKENS - 40 * uid) for uid in range(4)))
    finish(engine, *(Sequence(uid, [1000 + uid], NUM_TOKENS - 40 * uid) for uid in range(4, 8)))
    assert sum(order == sorted(order) for order in orders) > 0.9 * len(orders)


def test_a_match_is_guessed_at_once_as_with_the_scheduler_in_each_step() -> None:
    told = []
    for is_steady in (True, False):
        engine = engine_of(now_and_then_the_same, DraftMode.LOOKUP, draft_length=4)
        if not is_steady:
            engine._steady.begin = lambda: None  # type: ignore[method-assign]
        asked = Asked(engine.scheduler, "schedule")
        seq = Sequence(1, [1000], NUM_TOKENS)
        told.append((finish(engine, seq), seq.num_drafted, seq.num_accepted, seq.completion))
        assert (asked.times < told[-1][0]) == is_steady
    assert told[0] == told[1]
    assert told[0][2] > 20


def test_a_request_without_guesses_is_not_looked_up() -> None:
    engine = engine_of(now_and_then_the_same, DraftMode.LOOKUP, draft_length=4)
    asked = Asked(engine.scheduler, "schedule")
    finish(engine, Sequence(1, [1000], NUM_TOKENS, max_draft=0))
    assert asked.times <= 4 + NUM_TOKENS / MOST


def test_one_who_waits_for_a_place_changes_nothing() -> None:
    engine = engine_of(never_the_same, DraftMode.OFF)
    asked = Asked(engine.scheduler, "schedule")
    first, second = Sequence(1, [1000], NUM_TOKENS), Sequence(2, [1001], NUM_TOKENS)
    num_steps = finish(engine, first, second)
    assert num_steps == 2 * NUM_TOKENS
    assert asked.times <= 2 * (4 + NUM_TOKENS / MOST)


def test_whoever_has_a_right_to_the_place_has_it_in_the_next_step() -> None:
    engine = engine_of(never_the_same, DraftMode.OFF)
    engine.add(batch := Sequence(1, [1000], NUM_TOKENS, priority=Priority.BATCH))
    for _ in range(30):
        engine.step()
    engine.add(window := Sequence(2, [1001], 5, priority=Priority.WINDOW))
    num_said = batch.num_completion
    engine.step()
    assert (batch.num_completion, window.num_completion) == (num_said, 1)


def test_what_a_step_costs_is_learnt_of_steady_ones_too() -> None:
    engine = engine_of(never_the_same, DraftMode.OFF)
    asked, learnt = Asked(engine.scheduler, "schedule"), Asked(engine.speculation.costs, "observe")
    finish(engine, Sequence(1, [1000], NUM_TOKENS))
    assert learnt.times >= NUM_TOKENS / LEARNING > 2 * asked.times


def test_steps_that_were_passed_by_count_for_what_is_due_and_for_what_guesses_may_lose() -> None:
    dear = Speculation([LookupDrafter()], costs(slope=1.0))
    seq = Sequence(1, [1, 2, 3, 4, 1, 2, 3], NUM_TOKENS)
    assert not dear.worth_asking(1), "no guess could pay"
    assert dear.propose({seq: 4}) == {}
    dear.pass_by(RECHECK_INTERVAL, 1)
    assert dear.propose({seq: 4}) == {seq: [4]}, "a look at what they cost by now"


def test_before_anything_is_known_of_costs_the_scheduler_is_asked() -> None:
    blind = Speculation([LookupDrafter()], StepCosts())
    assert blind.is_blind
    assert not Speculation([], StepCosts()).is_blind


@pytest.mark.parametrize("seed", range(20))
def test_an_index_finds_what_a_search_finds_however_often_it_is_asked(seed: int) -> None:
    pick, drafter = random.Random(seed), LookupDrafter()
    seq = Sequence(1, [pick.randrange(3)], NUM_TOKENS)
    for _ in range(100):
        for _ in range(pick.choice([0, 1, 1, 1, 4])):
            seq.tokens.append(pick.randrange(3))
        tokens = seq.tokens
        ends = [end for end in range(3, len(tokens)) if tokens[end - 3 : end] == tokens[-3:]]
        found = drafter.propose({seq: 2}).get(seq)
        assert drafter.has_guess(seq) == bool(ends)
        assert (found.tokens if found else None) == (tokens[ends[-1] : ends[-1] + 2] if ends else None)
