"""An engine that has died: when it comes back, and when it stays down."""

import pytest

from app.inference.restarts import MAX_RESTARTS, RESTART_WINDOW, Restarts


@pytest.fixture
def now() -> list[float]:
    return [1000.0]


@pytest.fixture
def restarts(now: list[float]) -> Restarts:
    return Restarts(lambda: now[0])


def test_one_that_has_worked_comes_back_until_it_has_died_too_often(restarts: Restarts) -> None:
    deaths = [restarts.after_death(has_worked=True) for _ in range(MAX_RESTARTS)]
    assert deaths == [True] * (MAX_RESTARTS - 1) + [False]


def test_deaths_of_long_ago_are_forgotten(restarts: Restarts, now: list[float]) -> None:
    for _ in range(3 * MAX_RESTARTS):
        assert restarts.after_death(has_worked=True)
        now[0] += RESTART_WINDOW / (MAX_RESTARTS - 1)


def test_one_that_has_never_worked_comes_back_only_when_a_person_asks_and_once(restarts: Restarts) -> None:
    assert not restarts.after_death(has_worked=False)
    restarts.ask(True)
    assert restarts.after_death(has_worked=False)
    assert not restarts.after_death(has_worked=False)
