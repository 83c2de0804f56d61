"""How fast an engine answers: one figure, which everybody is told."""

from dataclasses import replace

import pytest

from app.inference.speed import Speed
from app.telemetry.meter import Meter
from backends.protocol import Stats
from tests.telemetry.snapshots import STATS, snapshot


def following(count: int, seconds: float) -> Stats:
    return replace(STATS, num_running=1, num_following=count, following_us=round(1e6 * seconds))


def test_it_is_that_of_the_last_second_between_tokens() -> None:
    speed = Speed()
    assert speed.next(following(0, 0), 10.0) is None, "nothing to compare with"
    assert speed.next(following(50, 0.5), 10.5) == pytest.approx(100)
    assert speed.next(following(60, 1.0), 11.5) == pytest.approx(20), "the first half second is over"
    assert speed.next(following(60, 1.0), 12.0) == pytest.approx(20), "it has just ended"
    assert speed.next(following(60, 1.0), 13.0) is None


def test_window_port_and_history_have_the_same_figure() -> None:
    meter = Meter()
    meter.take(replace(snapshot(following(0, 0)), speed=None), 0.0)
    meter.take(replace(snapshot(following(50, 0.4)), speed=123.4), 0.5)
    figures = meter.figures(0.5)
    assert figures
    assert figures.answer_rate == 123.4
