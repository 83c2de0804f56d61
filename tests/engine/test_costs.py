"""What steps teach of their costs."""

import random

import pytest

from backends.drafting.costs import StepCosts
from backends.drafting.pace import AIM, FIRST_ALONE, FIRST_CHUNK, MIN_CHUNK, STEADY_STEPS, Pace
from tests.engine.costs import costs


def taught(*steps: tuple[int, float], limit: float = 0.15) -> StepCosts:
    costs = StepCosts(Pace(limit))
    for num_rows, seconds in steps:
        costs.observe(num_rows, seconds)
    return costs


def test_nothing_is_known_before_the_first_step() -> None:
    assert StepCosts().answers(1) == 0
    assert chunk(StepCosts()) == FIRST_CHUNK
    assert StepCosts().pace.alone(512).take(0, 9999) == FIRST_ALONE


def test_between_known_sizes_costs_lie_on_a_line_and_beyond_them_the_slope_goes_on() -> None:
    costs = taught((1, 0.010), (5, 0.030))
    assert costs.answers(3) == pytest.approx(0.020)
    assert costs.answers(9) == pytest.approx(0.050)


def test_a_size_never_seen_is_thought_free_until_it_is_tried() -> None:
    assert taught((1, 0.010)).answers(4) == pytest.approx(0.010)


def test_one_interrupted_step_among_many_changes_little() -> None:
    costs = taught(*[(1, 0.010)] * 20, (1, 1.0))
    assert costs.answers(1) < 0.011


def test_a_deeper_context_makes_every_size_dearer_at_once() -> None:
    costs = taught((1, 0.010), (4, 0.020))
    for _ in range(60):
        costs.observe(1, 0.030)
    assert costs.answers(1) == pytest.approx(0.030, rel=0.01)
    assert costs.answers(4) == pytest.approx(0.060, rel=0.01), "though it has not been seen since"


def test_what_a_change_of_size_costs_is_learnt_from_the_steps_after_guesses() -> None:
    costs = taught((1, 0.010), (4, 0.020))
    for _ in range(60):
        costs.observe(1, 0.010)
        costs.observe(4, 0.023)
        costs.observe(1, 0.013)
    assert 0.0015 < costs.change < 0.0035
    assert costs.answers(1) == pytest.approx(0.010, rel=0.1), "of steps like the one before them"


def test_noise_with_long_tails_leaves_the_ratio_near_the_truth() -> None:
    pick, costs = random.Random(3), StepCosts()
    for _ in range(600):
        num_rows = pick.choice([1, 1, 4])
        interrupted = 0.2 if pick.random() < 0.05 else 0.0
        costs.observe(num_rows, (0.010 if num_rows == 1 else 0.018) * pick.uniform(0.95, 1.1) + interrupted)
    assert costs.answers(4) / costs.answers(1) == pytest.approx(1.8, rel=0.15)


@pytest.mark.parametrize(("fixed", "per_token"), [(0.0, 0.001), (0.010, 0.001), (0.020, 0.0002), (0.0, 0.02)])
@pytest.mark.parametrize("limit", [0.0, 0.15])
def test_a_chunk_beside_answers_comes_to_take_what_it_may(fixed: float, per_token: float, limit: float) -> None:
    costs = taught((2, 0.010), limit=limit)
    for _ in range(60):
        read(costs, fixed, per_token)
    taken, allowed = 0.010 + fixed + per_token * chunk(costs), max(STEADY_STEPS * 0.010, limit)
    assert taken == pytest.approx(AIM * allowed, rel=0.1) or chunk(costs) in (MIN_CHUNK, 512)
    assert chunk(costs) == MIN_CHUNK or taken < allowed


def test_the_short_end_of_a_prompt_does_not_shrink_the_chunks() -> None:
    costs = taught((2, 0.010))
    for _ in range(30):
        read(costs, 0.002, 0.001)
    before = chunk(costs)
    for _ in range(30):
        costs.observe(2, 0.014, [(2, 0)])
    assert 0.9 * before < chunk(costs) < 1.3 * before


def test_one_step_that_the_system_held_up_costs_a_few_small_chunks_and_no_more() -> None:
    costs = taught((2, 0.010))
    for _ in range(30):
        read(costs, 0.0, 0.001)
    before = chunk(costs)
    costs.observe(2, 1.0, [(before, 0)])
    assert chunk(costs) >= 0.4 * before
    for _ in range(8):
        read(costs, 0.0, 0.001)
    assert chunk(costs) >= 0.9 * before


def test_what_a_deep_prompt_has_taught_holds_for_the_next_one_at_every_depth() -> None:
    costs = taught((2, 0.010))
    for _ in range(2):
        for depth in range(0, 8000, 100):
            read(costs, 0.005, 0.001, depth, pair=0.0000005)
    for depth in (0, 1000, 4000, 8000):
        num_tokens = chunk(costs, depth)
        taken = 0.005 + num_tokens * (0.001 + 0.0000005 * (depth + num_tokens / 2))
        assert 0.5 * 0.15 < 0.010 + taken < 0.15, depth


def test_a_prompt_token_costs_what_the_step_took_beyond_its_answers() -> None:
    known = costs(slope=0.5)
    assert known.prompt_token is None
    known.observe(3, 0.102, [(60, 0), (40, 0)])
    assert known.prompt_token == pytest.approx(0.001), "three rows take two milliseconds"
    alone = costs(slope=0.5)
    alone.observe(0, 0.2, [(100, 0)])
    assert alone.prompt_token == pytest.approx(0.002)


def chunk(costs: StepCosts, depth: int = 0) -> int:
    """Tokens of a long prompt beside two answers."""
    return costs.pace.beside(costs.answers(2), 512).take(depth, 9999)


def read(costs: StepCosts, fixed: float, per_token: float, depth: int = 0, pair: float = 0.0) -> None:
    """One such chunk."""
    num_tokens = chunk(costs, depth)
    pairs = num_tokens * (depth + num_tokens / 2)
    costs.observe(2, 0.010 + fixed + per_token * num_tokens + pair * pairs, [(num_tokens, depth)])
