"""Totals of an engine become speeds, of answers and prompts apart."""

from dataclasses import replace

import pytest

from app.inference.speed import Speed
from app.telemetry.meter import Meter
from backends.protocol import Stats
from tests.telemetry.snapshots import GIB, READY, STATS, snapshot


def stats(**changes: object) -> Stats:
    return replace(STATS, **changes)  # type: ignore[arg-type]


class Engine:
    """Told of as its handle tells: with the speed of its process."""

    def __init__(self) -> None:
        self.meter = Meter()
        self._speed = Speed()

    def say(self, told: Stats, now: float) -> None:
        self.meter.take(replace(snapshot(told), speed=self._speed.next(told, now)), now)


def test_an_engine_that_loads_has_no_figures_yet() -> None:
    meter = Meter()
    assert meter.figures(0) is None
    meter.take(snapshot(None, None), 0)
    figures = meter.figures(0)
    assert figures
    assert (figures.device, figures.answer_rate, figures.cells) == (None, None, None)


def test_prompts_and_answers_have_speeds_of_their_own() -> None:
    engine = Engine()
    engine.say(STATS, 0)
    done = stats(
        num_steps=11,
        num_tokens=11,
        num_prompt_tokens=500,
        num_cached_tokens=1500,
        num_following=10,
        num_following_steps=10,
        following_us=200_000,
        prompt_us=250_000,
        num_answered=1,
        first_token_us=300_000,
        queue_us=50_000,
        num_drafted=8,
        num_accepted=6,
    )
    engine.say(done, 0.5)
    figures = engine.meter.figures(0.5)
    assert figures
    assert (figures.answer_rate, figures.prompt_rate) == (50.0, 2000.0)
    assert (figures.first_token_ms, figures.queue_ms) == (300.0, 50.0)
    assert (figures.cached, figures.acceptance) == (0.75, 0.75)
    assert figures.batch == pytest.approx(511 / 11)
    assert figures.bandwidth == pytest.approx(50 * 8 * GIB)


def test_who_rests_has_no_speed_and_keeps_its_shares_for_a_while() -> None:
    engine = Engine()
    engine.say(STATS, 0)
    done = stats(num_following=10, following_us=200_000, num_drafted=8, num_accepted=6)
    for moment in (0.5, 1.5, 2.5):
        engine.say(replace(done, rss_bytes=int(moment * GIB)), moment)
    figures = engine.meter.figures(2.6)
    assert figures
    assert (figures.answer_rate, figures.acceptance) == (None, 0.75)
    engine.say(replace(done, rss_bytes=1), 12.0)
    figures = engine.meter.figures(12.0)
    assert figures
    assert figures.acceptance is None


def test_who_has_said_nothing_for_long_has_no_speed() -> None:
    engine = Engine()
    engine.say(STATS, 0)
    engine.say(stats(num_following=10, following_us=200_000), 0.5)
    figures = engine.meter.figures(9.0)
    assert figures
    assert figures.answer_rate is None


def test_a_new_process_begins_at_nothing() -> None:
    meter = Meter()
    meter.take(snapshot(stats(num_prompt_tokens=1000, prompt_us=1_000_000)), 0)
    meter.take(snapshot(None, READY), 0.2)  # it died
    meter.take(snapshot(stats(num_prompt_tokens=10, prompt_us=100_000), replace(READY)), 0.4)
    figures = meter.figures(0.4)
    assert figures
    assert figures.prompt_rate is None
    meter.take(snapshot(stats(num_prompt_tokens=20, prompt_us=300_000), meter._snapshot.ready), 0.6)  # type: ignore[union-attr]
    figures = meter.figures(0.6)
    assert figures
    assert figures.prompt_rate == 50.0


def test_a_memory_that_was_read_keeps_no_more_than_it_needs() -> None:
    meter = Meter()
    for number in range(400):
        meter.take(snapshot(stats(num_following=number)), number / 4)
    assert len(meter._known) <= 42
