"""The live figures: right while running, the last ones when idle, "n/a" where unknown."""

from dataclasses import replace

import pytest
from pytestqt.qtbot import QtBot

from app.telemetry import MemorySample
from backends.protocol import CacheMiss, Cells, Drafting, DraftSource, Timings
from tests.ui.hands import ask, wait_answer, wait_words
from ui import figures
from ui.main_window import MainWindow
from ui.strip.rate import RateWindow


def test_the_rate_looks_back_one_second() -> None:
    window = RateWindow()
    assert window.rate(0) is None
    window.restart(0)
    for tenth in range(1, 21):
        window.add(tenth / 10, 5)
    assert window.rate(2.0) == pytest.approx(50)
    assert window.rate(2.5) == pytest.approx(25)
    assert window.rate(9) is None


def test_a_young_answer_is_not_divided_by_a_whole_second() -> None:
    window = RateWindow()
    window.restart(10)
    window.add(10.4, 20)
    assert window.rate(10.5) == pytest.approx(40)


def test_everything_unknown_is_said_so(window: MainWindow) -> None:
    strip = window.strip
    for figure in (strip.speed, strip.first, strip.reused, strip.drafted, strip.context, strip.ram, strip.vram):
        assert figure.value == "n/a"


def test_the_figures_move_while_it_runs_and_stay_after(slow: MainWindow, qtbot: QtBot) -> None:
    ask(slow, "long 4")
    wait_words(slow, qtbot)
    strip = slow.strip
    qtbot.waitUntil(lambda: strip.speed.value != "n/a")
    assert strip.first.value.endswith("ms")
    qtbot.waitUntil(lambda: not strip.context.value.startswith("0 "))  # what runs now is known
    assert slow.desk.snapshot
    assert slow.desk.snapshot.stats
    several = replace(slow.desk.snapshot.stats, cells=Cells(used=38, allocated=8192, limit=40_960))
    assert strip._context(several) == "38 / 4,096", "as when idle"
    qtbot.waitUntil(lambda: "; it grows with the conversations, up to 4,096" in strip.context.toolTip())
    widget = wait_answer(slow, qtbot)
    assert widget.turn.timings
    qtbot.waitUntil(lambda: strip.speed.value == figures.rate(widget.turn.timings.predicted_per_second))  # type: ignore[union-attr]
    assert strip.context.value.endswith("/ 4,096")
    assert strip.ram.value.endswith("MB")


def test_video_memory_names_its_source(window: MainWindow, qtbot: QtBot) -> None:
    sample = MemorySample(8_000_000_000, 32_000_000_000, 500_000_000, "RTX 4090", 2_500_000_000, 24_000_000_000, "NVML")
    window.strip.take_memory(sample)
    qtbot.waitUntil(lambda: window.strip.vram.value == "2.5 GB of 24.0 GB")
    assert "All programs on RTX 4090; source: NVML" in window.strip.vram.toolTip()
    assert window.strip.ram.value == "8.0 GB of 32.0 GB"


def test_an_account_leaves_out_what_did_not_happen() -> None:
    assert figures.summary(Timings(predicted_n=1, prompt_n=5, prompt_ms=20)) == "1 token  ·  first token 20 ms"
    full = figures.summary(Timings(10, 90, 101, 50, 40, 0, 1500, 2000))
    assert full == (
        "101 tokens  ·  50.0 tok/s  ·  first token 1.5 s  ·  90 of 100 prompt tokens reused"
        "  ·  40 of 50 drafts accepted"
    )


def test_an_account_says_where_a_prompt_came_back_from() -> None:
    assert figures.reuse(Timings(10, 90, cache_ram_n=90)) == "90 of 100 prompt tokens from RAM"
    assert figures.reuse(Timings(10, 90, cache_disk_n=90)) == "90 of 100 prompt tokens from disk"
    assert figures.reuse(Timings(10, 90)) == "90 of 100 prompt tokens reused"


def test_what_was_lost_is_said_and_what_was_new_is_not() -> None:
    lost = Timings(10, 90, cache_miss=CacheMiss.DIFFERENCE)
    assert figures.loss(lost) == "Not all of the prompt was reused: first difference at token 90."
    for reason in (None, CacheMiss.NEW_TEXT, CacheMiss.NO_EARLIER_PROMPT):
        assert figures.loss(Timings(10, 90, cache_miss=reason)) == ""


def test_sources_of_guesses_have_a_line_each() -> None:
    sources = (
        DraftSource("lookup of 6", 0.8, 0, 0.0),
        DraftSource("lookup of 3", 0.456, 20, 0.0),
        DraftSource("draft model", 0.97, 400, 0.0004),
    )
    assert figures.sources(Drafting(sources, 1.314)) == [
        "Lookup in the text, 3 tokens match: 46% of draft tokens accepted",
        "Draft model: 97% of draft tokens accepted, 0.4 ms a draft token",
        "Two tokens in one step take 1.31 times as long as one",
    ]
    assert figures.sources(Drafting(sources[:1])) == ["nothing drafted yet"]
    assert figures.sources(Drafting()) == ["off"]
