"""The live figures: right while running, the last ones when idle, "n/a" where unknown."""

from dataclasses import replace

from pytestqt.qtbot import QtBot

from app.telemetry import Gpu, Host, Sample
from backends.protocol import CacheMiss, Cells, Drafting, DraftSource, Generate, Message, Timings
from tests.ui.conftest import load
from tests.ui.hands import ask, wait_answer, wait_words
from ui import figures
from ui.main_window import MainWindow
from ui.strip.figure import Figure

GIB = 10**9
CARD = Gpu("RTX 4090", "NVML, GPU 0", used=2_500_000_000, total=24 * GIB, own=GIB, load=0.87, celsius=71.0, watts=320.0)


def sample(*gpus: Gpu) -> Sample:
    return Sample(1.0, Host(8 * GIB, 32 * GIB, 500_000_000), gpus)


def test_what_is_unknown_takes_no_room(window: MainWindow) -> None:
    strip = window.strip
    shown = [figure for figure in strip.findChildren(Figure) if figure.isVisible()]
    assert not [figure for figure in shown if figure.value == "n/a"]
    for figure in (strip.speed, strip.first, strip.reused, strip.drafted, strip.context, strip.vram, strip.gpu):
        assert (figure.value, figure.isVisible()) == ("n/a", False)
    assert not strip.sparkline.isVisible()


def test_the_figures_move_while_it_runs_and_stay_after(slow: MainWindow, qtbot: QtBot) -> None:
    ask(slow, "long 4")
    wait_words(slow, qtbot)
    strip = slow.strip
    qtbot.waitUntil(lambda: strip.speed.isVisible() and strip.sparkline.isVisible())
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
    assert strip.ram.caption == "Memory, this one"


def test_answers_of_other_programs_are_seen(slow: MainWindow, qtbot: QtBot) -> None:
    """The port's, say: the strip has nothing of them but what the engine tells."""
    assert slow.desk.handle
    done: list[object] = []
    request = Generate((Message("user", "long 3"),))
    slow.desk.handle.submit(request, lambda event: done.append(event) if getattr(event, "finish", None) else None)
    qtbot.waitUntil(lambda: slow.strip.speed.isVisible())
    qtbot.waitUntil(lambda: bool(done))
    qtbot.waitUntil(lambda: not slow.strip._timer.isActive())
    assert slow.strip.speed.value.endswith("tok/s"), "the last one stays"


def test_figures_of_another_model_go_with_it(slow: MainWindow, qtbot: QtBot) -> None:
    ask(slow, "hi")
    wait_answer(slow, qtbot)
    strip = slow.strip
    qtbot.waitUntil(lambda: strip.first.isVisible())
    load(slow, qtbot, "Quick")
    qtbot.waitUntil(lambda: strip.context.value == "0 / 4,096")
    for figure in (strip.speed, strip.first, strip.reused, strip.drafted):
        assert figure.value == "n/a"
    assert not strip.sparkline.isVisible()


def test_video_memory_says_whose_it_is(window: MainWindow, qtbot: QtBot) -> None:
    strip = window.strip
    strip.take_sample(sample(CARD))
    qtbot.waitUntil(lambda: strip.vram.value == "2.5 GB of 24.0 GB")
    assert strip.vram.caption == "GPU memory, all programs"
    told = "RTX 4090, all programs: 2.5 GB of 24.0 GB, of it 1.0 GB this one; source: NVML, GPU 0"
    assert told in strip.vram.toolTip()
    assert (strip.ram.caption, strip.ram.value) == ("Memory, all programs", "8.0 GB of 32.0 GB")
    assert strip.gpu.value == "87% · 71 °C · 320 W"
    assert "Slowed down: n/a" in strip.gpu.toolTip()
    strip.take_sample(sample(replace(CARD, used=None, load=None, celsius=None, watts=None)))
    qtbot.waitUntil(lambda: strip.vram.value == strip.gpu.value == "n/a")
    assert not strip.vram.isVisible()


def test_a_model_on_the_processor_says_nothing_of_gpus(quick: MainWindow, qtbot: QtBot) -> None:
    quick.strip.take_sample(sample(CARD))
    qtbot.waitUntil(lambda: quick.strip.ram.isVisible())
    assert not quick.strip.vram.isVisible()
    assert not quick.strip.gpu.isVisible()


def test_figures_give_way_in_a_narrow_window(window: MainWindow, qtbot: QtBot) -> None:
    window.resize(1400, 800)
    window.strip.take_sample(sample(replace(CARD, throttle="a reason that takes a lot of room, " * 4)))
    qtbot.waitUntil(lambda: window.strip.gpu.is_known)
    window.resize(900, 600)
    qtbot.waitUntil(lambda: window.width() == 900)
    assert window.strip.vram.isVisible()
    assert not window.strip.gpu.isVisible()


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
