"""What counts as a difference, and what equal runs say of it."""

from dataclasses import replace

import pytest

from app.bench.figures import Answering
from app.bench.rows import rows
from tests.benchmark.figures import SUBJECT, compared, figures, sample


def test_equal_runs_differ_by_the_most_that_two_in_a_row_did() -> None:
    assert sample(100, 110, 105).scatter == pytest.approx(0.1)
    assert sample(100, 100, 50).scatter == pytest.approx(1.0)
    assert sample(100).scatter is None


@pytest.mark.parametrize(
    ("without", "within", "is_shown"),
    [
        ((100, 101), (120, 121), True),
        ((100, 101), (80, 81), True),
        ((100, 102), (102.5, 103), False),  # beyond every run, and less than equal runs differ by
        ((100, 130), (120, 121), False),  # equal runs differ by more
        ((100, 101, 100), (99, 110, 111), False),  # one run is among the other side's
        ((100,), (200,), False),  # once is never
        ((0, 0), (0, 0), False),
    ],
)
def test_a_difference_is_more_than_that_between_equal_runs(
    without: tuple[float, ...], within: tuple[float, ...], is_shown: bool
) -> None:
    assert compared(without, within).is_shown is is_shown


def test_p95_is_what_95_of_100_values_keep_to() -> None:
    assert sample(*range(1, 101)).p95 == 95
    assert sample(3, 1, 2).p95 == 3
    slowest = rows(figures(answers=(Answering(0, sample(91, 93, 92), 12.5),)))
    assert next(row for row in slowest if row.key == "answer 0").p95 == 91, "of a speed the slow end counts"


def test_of_a_pair_without_any_difference_the_noise_is_learnt() -> None:
    assert figures(equal=compared((100, 101), (103, 104))).noise == pytest.approx(103.5 / 100.5 - 1)
    assert figures(equal=compared((100, 110), (105, 105))).noise == pytest.approx(0.1), "or of equal runs in a row"
    assert figures(equal=None).noise == 0


def test_the_share_of_the_limit_is_of_what_a_token_reads() -> None:
    answering = Answering(0, sample(50, 50), 20.0, 100_000_000)
    assert figures(bandwidth=10e9).share(answering) == pytest.approx(0.5)
    assert figures(bandwidth=None).share(answering) is None


def test_where_a_model_lies_is_told_in_words() -> None:
    assert SUBJECT.place == "CPU"
    assert replace(SUBJECT, gpu_layers=31, device="CUDA0 (A GPU)").place == "CUDA0 (A GPU)"
    assert replace(SUBJECT, gpu_layers=7, device="CUDA0").place == "7 of 31 layers on CUDA0"


def test_a_machine_is_busy_by_its_busiest_moment_and_its_size() -> None:
    assert not figures().is_busy
    assert figures(others=(0.0, 0.9)).is_busy
    assert not figures(others=()).is_busy
    assert figures(others=()).busiest is None
