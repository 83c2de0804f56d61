"""Two runs beside each other: what differs by more than equal runs do, and what is no difference."""

from dataclasses import replace

import pytest

from app.bench.comparing import SAME, Difference, to_document, to_markdown
from app.bench.figures import Answering, Figures, Reading
from tests.benchmark.figures import SUBJECT, compared, figures, sample


def answering(*speeds: float, noise: float = 0.01) -> Figures:
    equal = compared((100, 100), (100 * (1 + noise), 100 * (1 + noise)))
    return figures(answers=(Answering(0, sample(*speeds), 10.0),), equal=equal)


def verdict(first: Figures, second: Figures, key: str = "answer 0") -> str:
    return next(line.verdict for line in Difference(first, second).lines if line.first.key == key)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((100, 101), (120, 121), "+20%, better"),
        ((100, 101), (80, 81), "-20%, worse"),
        ((100, 101), (100, 101), SAME),
        ((100, 130), (120, 125), SAME),  # equal runs differ by more
    ],
)
def test_a_difference_is_more_than_equal_runs_differ_by(
    first: tuple[float, ...], second: tuple[float, ...], expected: str
) -> None:
    assert verdict(answering(*first), answering(*second)) == expected


def test_what_the_same_engine_differed_by_from_itself_is_no_difference() -> None:
    calm, restless = answering(100, 100.1, noise=0.002), answering(104, 104.1, noise=0.06)
    assert verdict(calm, answering(104, 104.1, noise=0.002)) == "+4%, better"
    assert verdict(calm, restless) == verdict(restless, calm) == SAME


def test_of_seconds_less_is_better() -> None:
    slow, quick = (
        figures(readings=(Reading(512, 509, sample(300, 301), sample(cold, cold + 0.01), sample(0.1, 0.1)),))
        for cold in (2.0, 1.0)
    )
    assert verdict(slow, quick, "first 512") == "-50%, better"
    assert verdict(quick, slow, "first 512") == "+100%, worse"


def test_only_figures_that_both_have_are_compared_and_what_differs_is_named() -> None:
    other = replace(figures(), subject=replace(SUBJECT, build="llama.cpp 2", machine="Another | one"), readings=())
    difference = Difference(figures(), other)
    assert not any(line.first.key.startswith("prompt") for line in difference.lines)
    assert [name for name, *_ in difference.facts] == ["machine", "build"]
    told = to_markdown(difference)
    assert "| build | llama.cpp 1 | llama.cpp 2 |" in told
    assert "Another \\| one" in told
    assert "| One answer, tokens/s | 92.0 | 92.0 | 1.00 | no difference |" in told
    assert "busy" not in told


def test_beside_other_programs_nothing_is_sure() -> None:
    difference = Difference(figures(), figures(others=(1.5,)))
    assert "**A machine was busy**" in to_markdown(difference)
    assert to_document(difference)["is_trusted"] is False
    assert to_document(Difference(figures(), figures()))["is_trusted"] is True
