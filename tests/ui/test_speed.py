"""The Lab's view of speeds: runs over time, jobs that measure and tune, and what is taken with consent alone."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QItemSelectionModel, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot

from app.bench.figures import Answering
from app.bench.history import BenchHistory, Run, to_json
from app.bench.tuned import Purpose, Tuned
from app.errors import EngineError
from app.library.defaults import NO_DEFAULTS
from tests.benchmark.figures import SUBJECT, figures, sample
from tests.benchmark.test_history import TUNED, measured
from tests.ui.stage import StageServices
from ui.bench.history_plot import HistoryPlot
from ui.bench.moments import offered, series
from ui.bench.runs_model import RunsModel
from ui.bench.speed_view import SpeedView
from ui.lab.lab_page import SPEED
from ui.main_window import LAB, MainWindow
from ui.theme import Theme


def runs(*speeds: float, build: str = "llama.cpp 1", **changes: Any) -> list[Run]:
    """A day apart."""
    return [
        Run(
            day,
            figures(
                subject=replace(SUBJECT, measured=f"2026-11-{day:02d}T10:00:00+00:00", build=build),
                answers=(Answering(0, sample(speed - 1, speed, speed + 1), 12.0, 98_000_000),),
                **changes,
            ),
        )
        for day, speed in enumerate(speeds, 1)
    ]


@pytest.fixture
def plot(theme: Theme, qtbot: QtBot) -> HistoryPlot:
    result = HistoryPlot(theme)
    qtbot.addWidget(result)
    result.resize(640, 300)
    result.show_runs(runs(50, 100, 75), "answer 0", "tokens/s")
    result.show()
    return result


@pytest.fixture
def view(window: MainWindow) -> SpeedView:
    window.go_to(LAB)
    window.lab.show_view(SPEED)
    return window.lab.speed


@pytest.fixture(autouse=True)
def _known_contents(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stage's models have no files."""
    monkeypatch.setattr("app.bench.workbench.content_identity", lambda path: str(path))


def keep(services: StageServices, *speeds: float) -> BenchHistory:
    history = services.workbench.history
    for run in runs(*speeds):
        history.add(run.figures)
    return history


def test_a_later_run_lies_at_the_right_and_a_faster_one_higher(plot: HistoryPlot) -> None:
    places = [plot.place(moment) for moment in plot._points]
    assert [at.x() for at in places] == sorted(at.x() for at in places)
    assert places[1].y() < places[2].y() < places[0].y()
    bottom = plot._area().bottom()
    assert bottom - places[0].y() == pytest.approx((bottom - places[1].y()) / 2), (
        "from zero: half as fast, half as high"
    )


def test_runs_can_be_reached_by_keys_and_are_told(plot: HistoryPlot) -> None:
    plot.show_runs(runs(50, 100, 75), "answer 0", "tokens/s")  # the focus had chosen the last
    assert plot.accessibleDescription().startswith("3 runs.")
    QTest.keyClick(plot, Qt.Key.Key_Left)
    assert plot.accessibleDescription().startswith("03 November 2026, 10:00  ·  75.0  ·  Tiny Q4_K_M, llama.cpp 1")
    for _ in range(5):
        QTest.keyClick(plot, Qt.Key.Key_Left)
    assert plot.selected is plot._points[0]


def test_each_model_and_build_has_a_line_and_the_main_figures_come_first() -> None:
    both = [*runs(50, 51), *runs(60, build="llama.cpp 2", others=(1.5,))]
    assert [(each.name, len(each.moments)) for each in series(both, "answer 0")] == [
        ("Tiny Q4_K_M, llama.cpp 1", 2),
        ("Tiny Q4_K_M, llama.cpp 2", 1),
    ]
    assert "the machine was busy" in series(both, "answer 0")[1].moments[0].text
    assert offered(both)[0].key == "answer 0"
    assert series(both, "no such figure") == []


def test_the_picture_is_painted_in_light_and_dark_and_empty(plot: HistoryPlot, theme: Theme) -> None:
    for tone in ("light", "dark"):
        theme.choose(tone)
        assert not plot.grab().isNull()
    plot.show_runs([], "", "")
    assert "drawn here" in plot.accessibleDescription()
    assert not plot.grab().isNull()
    theme.choose("light")


def test_the_table_is_a_sound_model(qtmodeltester: Any) -> None:
    model = RunsModel()
    model.set_runs([*runs(50, 60), *runs(70, others=(1.5,), readings=(), bandwidth=None)])
    qtmodeltester.check(model)
    assert model.index(2, 0).data() == "2026-11-01 10:00 (busy)"
    assert "do not trust" in model.index(2, 0).data(Qt.ItemDataRole.ToolTipRole)


def test_without_a_run_the_page_says_what_to_do(view: SpeedView, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: view.chooser.count() == 3)
    assert view.measure.isEnabled()
    assert view.card.isHidden()
    assert view.table.isHidden()
    assert view.copy.isHidden()
    assert view.bring_in.isVisible(), "what another machine has measured can be looked at"


def test_one_run_is_read_and_two_are_compared(view: SpeedView, services: StageServices, qtbot: QtBot) -> None:
    keep(services, 50, 100)
    view.desk.refresh()
    qtbot.waitUntil(lambda: view.model.rowCount() == 2)
    view.table.selectRow(0)
    assert view.reader.text.startswith("# Tiny on this machine")
    view.table.selectionModel().select(
        view.model.index(1, 0),
        QItemSelectionModel.SelectionFlag.Select | QItemSelectionModel.SelectionFlag.Rows,
    )
    assert "| One answer, tokens/s | 50.0 | 100 | 2.00 | +100%, better |" in view.reader.text, "the older one first"
    view.copy.click()
    assert QGuiApplication.clipboard().text() == view.reader.text
    assert not view.remove.isEnabled()
    view.table.selectRow(0)
    view.remove.click()
    qtbot.waitUntil(lambda: view.model.rowCount() == 1)


def test_another_machines_runs_are_imported(
    view: SpeedView, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "theirs.json"
    file.write_text(to_json([measured(3, machine="Theirs")]), "utf-8")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(file), ""))
    view.bring_in.click()
    qtbot.waitUntil(lambda: view.model.rowCount() == 1)
    with qtbot.waitSignal(view.refused) as refused:
        view.bring_in.click()
    assert "in the history already" in refused.args[0]


class Pretended:
    """A run of the workbench that waits until it is let go."""

    def __init__(self, result: Callable[[], Any]):
        self.result, self.go_on = result, threading.Event()

    def __call__(self, *given: Any) -> Any:
        hear, cancelled = given[-2:]
        hear("Answering", 0.5)
        while not self.go_on.wait(0.02):
            if cancelled.is_set():
                raise EngineError("It was cancelled in the test.")
        return self.result()


def test_a_run_shows_how_far_it_is_and_what_it_found(
    view: SpeedView, services: StageServices, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = runs(80)[0].figures
    work = Pretended(lambda: services.workbench.history.add(found).figures)
    monkeypatch.setattr(services.workbench, "measure", work)
    qtbot.waitUntil(view.measure.isEnabled)
    view.measure.click()
    qtbot.waitUntil(lambda: view.desk.job is not None and view.desk.job.text == "Answering")
    assert not view.measure.isEnabled()
    assert not view.tune.isEnabled(), "side by side they would measure each other"
    work.go_on.set()
    qtbot.waitUntil(lambda: view.model.rowCount() == 1)
    assert view.desk.job is None
    assert view.measure.isEnabled()


def test_a_run_that_fails_says_why_until_it_was_read(
    view: SpeedView, services: StageServices, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise EngineError("No memory is left. Close other programs.")

    monkeypatch.setattr(services.workbench, "measure", fail)
    qtbot.waitUntil(view.measure.isEnabled)
    view.measure.click()
    qtbot.waitUntil(lambda: view.desk.job is not None and view.desk.job.error is not None)
    assert view.measure.isEnabled()
    assert view._job
    view._job._cancel.click()
    assert view.desk.job is None


def tuned(view: SpeedView, **changes: Any) -> Tuned:
    assert view.desk.entry
    return replace(TUNED, identity=str(view.desk.entry.path), name=view.desk.entry.name, **changes)


def test_what_tuning_found_is_taken_on_a_click_and_given_back_on_another(
    view: SpeedView, services: StageServices, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    qtbot.waitUntil(view.tune.isEnabled)
    found = tuned(view)

    def tune(entry: Any, purpose: Purpose, *_: Any) -> Tuned:  # noqa: ARG001
        services.workbench.history.keep_tuned(found)
        return found

    monkeypatch.setattr(services.workbench, "tune", tune)
    view.tune.click()
    qtbot.waitUntil(view.card.isVisible)
    assert "25% more" in view.card._words.text()
    assert view.desk.entry
    assert services.library.defaults_of(view.desk.entry.path) == NO_DEFAULTS, (
        "nothing is changed without being asked for"
    )
    view.card.apply.click()
    qtbot.waitUntil(view.card.undo.isVisible)
    assert services.options_for(view.desk.entry).threads == 1
    assert not view.card.apply.isVisible()
    view.card.undo.click()
    qtbot.waitUntil(view.card.apply.isVisible)
    assert services.options_for(view.desk.entry).threads is None
    assert not view.card.undo.isVisible()


def test_what_is_no_gain_cannot_be_taken(view: SpeedView, services: StageServices, qtbot: QtBot) -> None:
    qtbot.waitUntil(view.tune.isEnabled)
    services.workbench.history.keep_tuned(tuned(view, gain=None, others=(1.9,)))
    view.purpose.setCurrentIndex(1)
    view.purpose.setCurrentIndex(0)
    qtbot.waitUntil(view.card.isVisible)
    assert "leave it" in view.card._words.text()
    assert not view.card.apply.isVisible()
    assert view.card._doubt.isVisible(), "the machine was busy"
