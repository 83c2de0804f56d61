"""The page “Downloads”: what a person sees of jobs at work, and what they can do about them."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QListView, QMainWindow, QWidget
from pytestqt.modeltest import ModelTester
from pytestqt.qtbot import QtBot

from app.errors import ConversionError
from app.jobs.install import Installed
from app.jobs.job import Job, JobContext, JobState, Lane
from backends.child import Progress
from tests.ui.hands import press
from tests.ui.stage import StageServices
from ui.bridge import Bridge
from ui.jobs.downloads_page import DownloadsPage
from ui.jobs.finished_list import FinishedList
from ui.jobs.finished_model import Finished, FinishedModel
from ui.jobs.job_card import JobCard
from ui.main_window import CHAT, DISCOVER, DOWNLOADS, MODELS, MainWindow
from ui.theme import Theme
from ui.widgets.job_row import JobRow

LINE = "12.3 of 40.1 GB · 85 MB/s · 5 min left"


@dataclass
class PretendInstall:
    """Works until it is let go, then fails or is done; what it does is told by `act`."""

    result: Any = None
    failure: str | None = None
    go_on: threading.Event = field(default_factory=threading.Event)
    num_runs: int = 0
    title: str = "org/tiny as Q4_K_M"
    steps: tuple[str, ...] = ("Download", "Convert", "Quantize", "Measure", "Add")

    def run(self, context: JobContext) -> Any:
        self.num_runs += 1
        context.step(0)(Progress(0.5, LINE))
        while not self.go_on.wait(0.02):
            context.step(0)
        if self.failure:
            raise ConversionError(self.failure)
        return self.result


def add(window: MainWindow, services: StageServices, qtbot: QtBot, work: PretendInstall) -> JobCard:
    window.go_to(DOWNLOADS)
    job_id = services.jobs.add(work, Lane.LIGHT).id
    qtbot.waitUntil(lambda: job_id in window.downloads.cards and LINE in words(window.downloads.cards[job_id]))
    return window.downloads.cards[job_id]


def words(widget: QWidget) -> str:
    return " | ".join(label.text() for label in widget.findChildren(QLabel) if label.isVisible())


def settled(card: JobCard, state: JobState) -> Callable[[], bool]:
    return lambda: card.job.state is state


def test_an_empty_page_points_to_discover(window: MainWindow) -> None:
    window.go_to(DOWNLOADS)
    press(window.downloads, "Find a model")
    assert window._pages.currentIndex() == DISCOVER


def test_a_job_is_paused_resumed_and_called_off(window: MainWindow, services: StageServices, qtbot: QtBot) -> None:
    work = PretendInstall()
    card = add(window, services, qtbot, work)
    assert card.accessibleName() == "org/tiny as Q4_K_M"
    assert window.rail._group.button(DOWNLOADS).accessibleName() == "Downloads, 1 at work"
    card.pause.setFocus()
    QTest.keyClick(card.pause, Qt.Key.Key_Space)
    qtbot.waitUntil(settled(card, JobState.PAUSED))
    assert card.resume.hasFocus()
    assert "Paused at 10%" in words(card)
    assert window.rail._group.button(DOWNLOADS).accessibleName() == "Downloads"
    press(card, "Resume")
    qtbot.waitUntil(settled(card, JobState.RUNNING))
    press(card, "Cancel")
    qtbot.waitUntil(lambda: not window.downloads.cards)
    assert work.num_runs == 2
    assert not window.downloads.finished.isVisible()


def test_a_failure_is_told_in_its_place_and_can_be_tried_again(
    window: MainWindow, services: StageServices, qtbot: QtBot
) -> None:
    work = PretendInstall(failure="The disk is full: make room and try again.")
    card = add(window, services, qtbot, work)
    work.go_on.set()
    qtbot.waitUntil(settled(card, JobState.FAILED))
    assert "The disk is full: make room and try again." in words(card)
    assert "Failed" in words(card)
    assert not card._bar.isVisible()  # nor does it look like one that has just begun
    assert card._track.accessibleName() == "Step 1 of 5: Download, failed"
    work.failure = None
    press(card, "Retry")
    qtbot.waitUntil(lambda: window.downloads.finished.isVisible())
    assert not window.downloads.cards


def test_a_finished_model_is_shown_and_chatted_with(window: MainWindow, services: StageServices, qtbot: QtBot) -> None:
    slow = next(entry for entry in services.stage_store.entries if entry.name == "Slow")
    work = PretendInstall(Installed(Path("x"), slow, ""))
    add(window, services, qtbot, work)
    with qtbot.waitSignal(window.models.refreshed):
        work.go_on.set()
    qtbot.waitUntil(lambda: window.downloads.finished.isVisible())
    press(window.downloads, "Show in Models")
    assert window._pages.currentIndex() == MODELS
    qtbot.waitUntil(lambda: "Slow" in words(window.models_page.details))
    window.go_to(DOWNLOADS)
    press(window.downloads, "Chat")
    assert window._pages.currentIndex() == CHAT
    qtbot.waitUntil(lambda: window.desk.is_ready)
    assert window.desk.entry == slow


def test_the_list_is_cleared_and_the_queue_forgets(window: MainWindow, services: StageServices, qtbot: QtBot) -> None:
    work = PretendInstall()
    add(window, services, qtbot, work)
    work.go_on.set()
    qtbot.waitUntil(lambda: window.downloads.finished.isVisible())
    press(window.downloads, "Clear list")
    assert services.jobs.jobs() == []
    assert window.downloads.discover.isVisible()


def test_hundreds_of_finished_jobs_are_rows_of_one_list(window: MainWindow) -> None:
    window.go_to(DOWNLOADS)
    before = len(window.downloads.findChildren(QWidget))
    for number in range(300):
        window.downloads.finished.add(Finished(number, f"Model {number}", "Q4_K_M", datetime.now()))
    (view,) = window.downloads.findChildren(QListView)
    assert view.model().rowCount() == 300
    assert len(window.downloads.findChildren(QWidget)) - before < 10
    assert view.height() < 400


def test_what_has_arrived_is_a_sound_item_model(qtmodeltester: ModelTester) -> None:
    model = FinishedModel()
    for number in range(3):
        model.add(Finished(number, f"Model {number}", "Q4_K_M", datetime(2026, 11, 22, 9, number), "org/x"))
    qtmodeltester.check(model)
    assert [model.index(row).data() for row in range(3)] == ["Model 2", "Model 1", "Model 0"]
    model.clear()
    assert model.rowCount() == 0


def test_jobs_that_began_before_the_window_are_shown(
    services: StageServices, bridge: Bridge, theme: Theme, qtbot: QtBot
) -> None:
    services.jobs.add(PretendInstall(), Lane.LIGHT, is_paused=True)
    page = DownloadsPage(services, bridge, theme)
    qtbot.addWidget(page)
    page.show()
    assert "org/tiny as Q4_K_M | Paused" in words(page)


def test_what_arrives_does_not_take_the_choice_from_under_a_hand(theme: Theme, qtbot: QtBot) -> None:
    holder, finished = QMainWindow(), FinishedList(theme)
    holder.setCentralWidget(finished)
    qtbot.addWidget(holder)
    for number in range(3):
        finished.add(Finished(number, f"Model {number}", "Q4_K_M", datetime.now(), f"org/{number}"))
    with qtbot.waitSignal(finished.chat_clicked) as clicked:
        finished.chat.click()
    assert clicked.args == ["org/0"]


def test_an_end_that_is_told_twice_is_listed_once(window: MainWindow, services: StageServices, qtbot: QtBot) -> None:
    work = PretendInstall()
    card = add(window, services, qtbot, work)
    work.go_on.set()
    qtbot.waitUntil(lambda: window.downloads.finished.isVisible())
    window.downloads.show_job(services.jobs.job(card.job.id))
    assert window.downloads.finished.model.rowCount() == 1


def test_a_row_of_a_failed_job_has_no_bar(qtbot: QtBot) -> None:
    row = JobRow(Job(1, "Measure Tiny", ("Measure",), JobState.RUNNING))
    qtbot.addWidget(row)
    row.show()
    assert row._bar.isVisible()
    row.show_job(Job(1, "Measure Tiny", ("Measure",), JobState.FAILED, error="It ran out of memory."))
    assert words(row) == "Measure Tiny | Failed | It ran out of memory."
    assert not row._bar.isVisible()
