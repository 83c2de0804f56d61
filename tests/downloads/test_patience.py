"""How long is waited, and what speed is shown."""

from datetime import UTC, datetime, timedelta
from email.message import Message
from email.utils import format_datetime

import pytest

from app.downloads import Patience
from app.downloads.patience import ordered_wait
from app.downloads.transfer import Rate


def headers(**fields: str) -> Message:
    message = Message()
    for name, value in fields.items():
        message[name.replace("_", "-")] = value
    return message


def test_each_failure_doubles_the_wait_up_to_the_longest() -> None:
    patience = Patience(first_wait=1.0, longest_wait=30.0)
    for num_failures, longest in ((1, 1.0), (2, 2.0), (3, 4.0), (6, 30.0), (60, 30.0)):
        waits = [patience.wait(num_failures, None) for _ in range(50)]
        assert all(longest / 2 <= wait <= longest for wait in waits)
        assert len(set(waits)) > 1  # never two clients at the same instant


def test_what_the_server_orders_is_the_least_that_is_waited() -> None:
    assert all(20.0 <= Patience().wait(1, 20.0) <= 21.0 for _ in range(50))


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ({"Retry_After": "7"}, 7.0),
        ({"Retry_After": " 0 "}, 0.0),
        ({"Retry_After": "9" * 400}, 999_999_999.0),
        ({"ratelimit": "t=" + "9" * 400}, 999_999_999.0),
        ({"ratelimit": '"api";r=0;t=55'}, 55.0),
        ({"Retry_After": "soon"}, None),
        ({"Retry_After": "-3"}, None),
        ({"Retry_After": "Sun, 99 Nov 2026 13:00:00 GMT"}, None),
        ({"ratelimit": "nonsense"}, None),
        ({}, None),
    ],
)
def test_an_order_to_wait(said: dict[str, str], seconds: float | None) -> None:
    assert ordered_wait(headers(**said)) == seconds


def test_an_order_to_wait_until_a_date() -> None:
    soon = datetime.now(UTC) + timedelta(seconds=90)
    waits = ordered_wait(headers(Retry_After=format_datetime(soon, usegmt=True)))
    assert waits is not None
    assert 80 < waits <= 90
    assert ordered_wait(headers(Retry_After=format_datetime(soon - timedelta(days=1), usegmt=True))) == 0.0


def test_a_steady_speed_is_shown_as_it_is() -> None:
    rate = Rate(began=0.0)
    assert rate.per_second is None
    for tick in range(1, 11):
        rate.add(tick / 10, 1_000)
    assert rate.per_second == pytest.approx(10_000)


def test_a_stall_pulls_the_speed_down_and_a_gust_does_not_hide_it() -> None:
    rate = Rate(began=0.0)
    rate.add(1.0, 10_000)
    rate.add(1.1, 5_000)  # five times as fast for a moment
    assert rate.per_second == pytest.approx(14_500, rel=0.2)
    for tick in range(2, 14):
        rate.add(float(tick), 0)
    assert rate.per_second is not None
    assert rate.per_second < 300
