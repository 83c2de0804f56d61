"""Which window of a measurement counts: of quiet ones the best."""

from collections.abc import Callable, Iterator

import pytest

from backends.llama import rates
from backends.llama.rates import Windows


def windows(*others: float) -> Windows:
    """One for each time that something is measured."""

    def looks() -> Iterator[float]:
        for each in others:
            yield 0.0
            yield each

    return Windows(looks().__next__)


def measure(found: Windows, *rates: float) -> None:
    for rate in rates:
        found.measure("F16", _of(rate))


def _of(rate: float) -> Callable[[], float]:
    return lambda: rate


def test_of_quiet_windows_the_best_counts() -> None:
    found = windows(0.1, 0.0, 0.1)
    measure(found, 5.0, 7.0, 6.0)
    assert (found.rate("F16"), found.others) == (7.0, 0.0)


def test_a_quiet_window_goes_before_busy_ones_whatever_they_show() -> None:
    found = windows(1.0, 0.1, 1.0)
    measure(found, 9.0, 7.0, 9.0)
    assert (found.rate("F16"), found.others) == (7.0, 0.1)


def test_where_none_was_quiet_the_best_counts_and_it_is_told() -> None:
    found = windows(1.5, 0.9)
    measure(found, 5.0, 7.0)
    assert (found.rate("F16"), found.others) == (7.0, 0.9)
    assert found.rate("Q4_K") is None


def test_a_machine_that_is_too_slow_is_measured_by_what_there_was_time_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "MOST_SECONDS", 0.0)
    told: list[str] = []
    found = rates.measure(lambda progress: told.append(progress.text))
    assert set(found.by_type) == {rates.TYPES[0].name}
    assert (found.attention, len(told)) == ({}, 3)
    assert found.memory
