"""The clock: the time here and elsewhere, and a sentence for a zone that there is none of."""

from datetime import UTC, datetime, tzinfo

import pytest

from app.tools.clock import Clock

NOON = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)


def at_noon(zone: tzinfo | None) -> datetime:
    return NOON.astimezone(zone or UTC)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({}, "Tuesday, 2026-12-01 12:00:00 (UTC+0000)"),
        ({"timezone": ""}, "Tuesday, 2026-12-01 12:00:00 (UTC+0000)"),
        ({"timezone": "Asia/Kolkata"}, "Tuesday, 2026-12-01 17:30:00 (UTC+0530, Asia/Kolkata)"),
    ],
)
def test_it_tells_the_time_of_a_zone(arguments: dict[str, str], told: str) -> None:
    assert Clock(at_noon).start(arguments).result(0).text == told


def test_without_a_zone_it_is_this_machines_time() -> None:
    assert f"{datetime.now().astimezone():%Y-%m-%d}"[:7] in Clock().start({}).result(0).text


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../../etc/passwd", "/etc/passwd", "a\0b", 7, ["UTC"], "x" * 10_000])
def test_an_unknown_zone_is_a_sentence(zone: object) -> None:
    outcome = Clock(at_noon).start({"timezone": zone}).result(0)
    assert outcome.is_error
    assert len(outcome.text) < 200
