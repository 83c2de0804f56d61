"""What steps teach of their costs."""

import random

import pytest

from backends.engine.costs import StepCosts


def taught(*steps: tuple[int, float]) -> StepCosts:
    costs = StepCosts()
    for num_rows, seconds in steps:
        costs.observe(num_rows, 0, seconds)
    return costs


def test_nothing_is_known_before_the_first_step() -> None:
    assert StepCosts().answers(1) == 0
    assert StepCosts().prompt_tokens_within(1, 4.0) is None


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


def test_the_chunk_beside_answers_follows_what_prompt_tokens_cost() -> None:
    costs = taught((1, 0.010))
    costs.observe(1, 100, 0.110)  # a millisecond each
    assert costs.prompt_tokens_within(1, 4.0) == 30
    for _ in range(100):
        costs.observe(1, 100, 0.020)
    assert costs.prompt_tokens_within(1, 4.0) == pytest.approx(300, rel=0.05)
