"""The page Performance: what is known is drawn, and a page that nobody sees does nothing."""

import pytest
from pytestqt.qtbot import QtBot

from app.telemetry import EngineFigures, Gpu, Host, Sample
from app.telemetry.sample import Moment
from backends.protocol import Cells
from tests.ui.hands import press
from tests.ui.stage import StageServices
from ui.main_window import CHAT, MODELS, PERFORMANCE, MainWindow
from ui.performance.performance_page import PerformancePage
from ui.performance.plot import round_up
from ui.performance.tape import SECONDS, Tape
from ui.theme import Theme

GIB = 2**30
ENGINE = EngineFigures("M", "CUDA0 (RTX)", 52.4, num_running=1, cells=Cells(38, 512, 4096), acceptance=0.5, rss=GIB)
CARD = Gpu("RTX", "test", used=9 * GIB, total=24 * GIB, watts=200.0, watts_limit=450.0, load=0.5)


def sample(moment: float, *gpus: Gpu) -> Sample:
    return Sample(moment, Host(8 * GIB, 32 * GIB, GIB), gpus, (ENGINE,))


def shown(page: PerformancePage) -> list[str]:
    return [panel._title for panel in page.panels if panel.isVisible()]


def test_without_a_model_it_says_what_to_do(window: MainWindow) -> None:
    window.go_to(PERFORMANCE)
    assert window.performance.is_empty
    assert shown(window.performance) == []
    press(window.performance, "Choose a model")
    assert window._pages.currentIndex() == MODELS


def test_what_is_known_is_drawn_and_the_rest_takes_no_room(window: MainWindow) -> None:
    page = window.performance
    window.go_to(PERFORMANCE)
    page._take(sample(100.0))
    assert not page.is_empty
    assert shown(page) == [
        "Answers, tokens per second",
        "Memory",
        "KV cache, tokens",
        "Prompts reused, drafts accepted",
    ]
    assert "M: CUDA0 (RTX)  ·  1 running, 0 waiting  ·  answers 52.4 tok/s" in page._engines.text()
    assert "KV 38 of 512 tokens, 4,096 at most" in page._engines.text()
    page._take(sample(101.0, CARD))
    assert shown(page)[-3:] == ["Memory of GPU 0", "Load of GPU 0", "Power of GPU 0"]
    values = {panel._title: panel.value for panel in page.panels}
    assert values["Power of GPU 0"] == "200 W of 450 W"
    assert values["Answers, tokens per second"] == "52.4"
    page._take(sample(103.0))
    assert "Power of GPU 0" in shown(page), "ten minutes of it are still there"
    assert {panel._title: panel.value for panel in page.panels}["Power of GPU 0"] == ""


def test_a_hidden_page_does_nothing(quick: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    page = quick.performance
    calls: list[object] = []
    monkeypatch.setattr(page, "_refresh", lambda: calls.append(1))
    with qtbot.waitSignal(quick._bridge.sampled):
        pass
    assert calls == []
    quick.go_to(PERFORMANCE)
    qtbot.waitUntil(lambda: len(calls) >= 2)  # the history, and a sample
    quick.go_to(CHAT)
    calls.clear()
    with qtbot.waitSignal(quick._bridge.sampled):
        pass
    assert calls == []


def test_what_was_before_the_page_was_opened_is_drawn(
    quick: MainWindow, services: StageServices, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = [Moment(float(at), {"answer_rate": 7.0}) for at in range(60)]
    monkeypatch.setattr(services.performance, "recent", lambda: earlier)
    quick.go_to(PERFORMANCE)
    qtbot.waitUntil(lambda: "Answers, tokens per second" in shown(quick.performance))


def test_a_window_that_is_not_seen_has_nothing_sampled(window: MainWindow, services: StageServices) -> None:
    assert services.telemetry._num_watchers == 1
    window.showMinimized()
    assert services.telemetry._num_watchers == 0
    window.showNormal()
    assert services.telemetry._num_watchers == 1
    window.hide()
    assert services.telemetry._num_watchers == 0


def test_pieces_of_a_line_are_few_and_broken_where_nothing_was_known() -> None:
    tape = Tape()
    assert tape.lines("x", 100) == []
    for second in range(1000):
        tape.add(Moment(float(second), {"x": float(second % 10)} if second < 800 else {}))
    (piece,) = tape.lines("x", 100)
    assert len(piece) <= 100
    assert max(value for _, value in piece) == 9.0
    assert 0 <= piece[0][0] <= piece[-1][0] <= 1
    assert tape._moments[0].time == 999 - SECONDS
    tape.add(Moment(1000.0, {"x": 1.0}))
    assert len(tape.lines("x", 100)) == 2
    tape.add(Moment(5.0, {"x": 1.0}))  # the clock was set back
    assert len(tape.lines("x", 100)) == 1


@pytest.mark.parametrize(
    ("value", "rounded"), [(0, 1), (0.3, 0.5), (1, 1), (7, 10), (23, 25), (52, 100), (1234, 2000), (10**18, 10**18)]
)
def test_scales_end_at_numbers_that_read_well(value: float, rounded: float) -> None:
    assert round_up(value) == pytest.approx(rounded)


@pytest.mark.parametrize("value", [0.0, 1e-9, 1e18])
def test_a_plot_draws_whatever_it_is_given(window: MainWindow, theme: Theme, value: float) -> None:
    window.go_to(PERFORMANCE)
    window.performance._put([Moment(float(at), {"answer_rate": value, "kv_used": value}) for at in range(3)])
    plot = window.performance.panels[0].plot
    for choice in ("dark", "light"):
        theme.choose(choice)
        assert not plot.grab().isNull()
