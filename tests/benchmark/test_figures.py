"""What counts as a difference, and what equal runs say of it."""

import pytest

from tests.benchmark.figures import compared, figures, sample


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


def test_a_machine_is_busy_by_its_busiest_moment_and_its_size() -> None:
    assert not figures().is_busy
    assert figures(others=(0.0, 0.9)).is_busy
    assert not figures(others=()).is_busy
    assert figures(others=()).busiest is None
