"""What a person reads of a download under way: how much, how fast, how long still, or what hinders it."""

import pytest

from app.downloads.transfer import Transfer, shown_time

GB = 10**9


def test_bytes_speed_and_time_left_are_one_line() -> None:
    transfer = Transfer(12_300_000_000, 40 * GB, 85_000_000, 326.0, "Downloading model.gguf")
    assert transfer.line == "12.30 of 40.00 GB · 85.0 MB/s · 6 min left"


def test_two_units_are_both_named() -> None:
    assert Transfer(900_000, 4 * GB, None, None, "Downloading model.gguf").line == "900 kB of 4.00 GB"


def test_a_line_that_stands_still_has_no_time_left() -> None:
    assert Transfer(GB, 4 * GB, 0.4, None, "Downloading model.gguf").line == "1.00 of 4.00 GB · 0 bytes/s"


def test_what_hinders_it_stands_where_the_speed_was() -> None:
    transfer = Transfer(GB, 4 * GB, 2_000_000, 1500.0, "Nothing has come for 12 s", is_hindered=True)
    assert transfer.line == "1.00 of 4.00 GB · Nothing has come for 12 s"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.0, "1 s"), (119.2, "120 s"), (121.0, "3 min"), (7201.0, "3 h"), (3 * 86_400.0, "3 days")],
)
def test_the_time_left_is_told_in_its_largest_unit(seconds: float, words: str) -> None:
    assert shown_time(seconds) == words
