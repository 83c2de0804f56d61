"""What steps teach of their costs."""

import random

import pytest

from backends.drafting.costs import StepCosts
from backends.drafting.pace import AIM, FIRST_CHUNK, MAX_STALL, MIN_CHUNK
from tests.engine.costs import costs


def taught(*steps: tuple[int, float]) -> StepCosts:
    costs = StepCosts()
    for num_rows, seconds in steps:
        costs.observe(num_rows, 0, seconds)
    return costs


def test_nothing_is_known_before_the_first_step() -> None:
    assert StepCosts().answers(1) == 0
    assert StepCosts().pace.chunk == FIRST_CHUNK


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
        costs.observe(1, 0, 0.030)
    assert costs.answers(1) == pytest.approx(0.030, rel=0.01)
    assert costs.answers(4) == pytest.approx(0.060, rel=0.01), "though it has not been seen since"


def test_noise_with_long_tails_leaves_the_ratio_near_the_truth() -> None:
    pick, costs = random.Random(3), StepCosts()
    for _ in range(600):
        num_rows = pick.choice([1, 1, 4])
        interrupted = 0.2 if pick.random() < 0.05 else 0.0
        costs.observe(num_rows, 0, (0.010 if num_rows == 1 else 0.018) * pick.uniform(0.95, 1.1) + interrupted)
    assert costs.answers(4) / costs.answers(1) == pytest.approx(1.8, rel=0.15)


@pytest.mark.parametrize(("fixed", "per_token"), [(0.0, 0.001), (0.010, 0.001), (0.020, 0.0002), (0.0, 0.02)])
def test_a_chunk_beside_answers_comes_to_take_what_it_may(fixed: float, per_token: float) -> None:
    costs = taught((2, 0.010))
    for _ in range(60):
        costs.observe(2, costs.pace.chunk, 0.010 + fixed + per_token * costs.pace.chunk)
    taken = 0.010 + fixed + per_token * costs.pace.chunk
    assert taken == pytest.approx(AIM * MAX_STALL * 0.010, rel=0.1) or costs.pace.chunk == MIN_CHUNK
    assert costs.pace.chunk == MIN_CHUNK or taken < MAX_STALL * 0.010


def test_the_short_end_of_a_prompt_does_not_shrink_the_chunks() -> None:
    costs = taught((2, 0.010))
    for _ in range(30):
        costs.observe(2, costs.pace.chunk, 0.010 + 0.001 * costs.pace.chunk)
    before = costs.pace.chunk
    for _ in range(30):
        costs.observe(2, 1, 0.013)
    assert costs.pace.chunk == before


def test_one_step_that_the_system_held_up_costs_a_few_small_chunks_and_no_more() -> None:
    costs = taught((2, 0.010))
    for _ in range(30):
        costs.observe(2, costs.pace.chunk, 0.010 + 0.001 * costs.pace.chunk)
    before = costs.pace.chunk
    costs.observe(2, before, 1.0)
    assert costs.pace.chunk >= before // 2
    for _ in range(8):
        costs.observe(2, costs.pace.chunk, 0.010 + 0.001 * costs.pace.chunk)
    assert costs.pace.chunk >= 0.9 * before


def test_a_prompt_token_costs_what_the_step_took_beyond_its_answers() -> None:
    known = costs(slope=0.5)
    assert known.prompt_token is None
    known.observe(num_rows=3, num_prompt_tokens=100, seconds=0.102)
    assert known.prompt_token == pytest.approx(0.001), "three rows take two milliseconds"
    alone = costs(slope=0.5)
    alone.observe(num_rows=0, num_prompt_tokens=100, seconds=0.2)
    assert alone.prompt_token == pytest.approx(0.002)


def test_a_chunk_that_only_answers_with_other_adapters_wait_for_teaches_the_pace() -> None:
    costs = StepCosts()
    costs.observe(1, 0, 0.010)
    for _ in range(50):
        costs.observe(0, costs.pace.chunk, 0.0001 * costs.pace.chunk)
    assert costs.pace.chunk * 0.0001 == pytest.approx(AIM * MAX_STALL * 0.010, rel=0.1)
    before = costs.pace.chunk
    costs.observe(0, 4 * before, 0.0004 * before)
    assert costs.pace.chunk == before, "a prompt that nobody waits for"
