"""Banners and job notes come and go over the page: nothing moves under the mouse, and no click goes astray."""

from collections.abc import Iterator

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QCursor
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QAbstractSpinBox, QComboBox, QLabel, QLineEdit, QWidget
from pytestqt.qtbot import QtBot

from app.jobs.job import Job, JobState
from tests.patience import until
from tests.ui.stage import StageServices
from ui.lab.lab_page import SPEED
from ui.main_window import LAB, MODELS, SETTINGS, MainWindow
from ui.widgets.banner import Tone
from ui.widgets.labels import button
from ui.widgets.overlay import Edge, Overlay

CONTROLS = (QAbstractButton, QAbstractSpinBox, QComboBox, QLineEdit)
FAR = QPoint(5, 5)


@pytest.fixture
def page(qtbot: QtBot) -> Iterator[QWidget]:
    result = QWidget()
    result.resize(900, 600)
    qtbot.addWidget(result)
    result.show()
    QCursor.setPos(result.mapToGlobal(FAR))
    yield result
    QCursor.setPos(FAR)


@pytest.fixture
def overlay(page: QWidget) -> Overlay:
    result = Overlay()
    result.lie_over(page)
    return result


def note(height: int = 60) -> QLabel:
    result = QLabel("note")
    result.setFixedHeight(height)
    return result


def place(widget: QWidget) -> QPoint:
    return widget.mapToGlobal(QPoint(0, 0))


def places(window: MainWindow) -> dict[QWidget, QPoint]:
    """Of all that could be clicked on the page that is seen."""
    page = window._pages.currentWidget()
    return {each: place(each) for kind in CONTROLS for each in page.findChildren(kind) if each.isVisible()}


def settled(window: MainWindow) -> dict[QWidget, QPoint]:
    """Once the page has laid out what came when it was shown."""
    seen: list[dict[QWidget, QPoint]] = [{}]

    def is_still() -> bool:
        QTest.qWait(20)
        seen.append(places(window))
        return bool(seen[-1]) and seen[-1] == seen[-2]

    until(is_still, "a page that stands still")
    return seen[-1]


def moved(window: MainWindow, before: dict[QWidget, QPoint]) -> dict[QWidget, QPoint]:
    return {each: at for each, at in places(window).items() if before.get(each, at) != at}


@pytest.mark.parametrize("number", range(SETTINGS + 1))
def test_a_banner_moves_nothing_on_any_page(window: MainWindow, number: int) -> None:
    window.go_to(number)
    before = settled(window)
    assert before
    banner = window.banners.show_banner(Tone.WARNING, "Something happened.", [("Help", lambda: None)])
    QTest.qWait(1)
    assert banner.isVisible()
    assert moved(window, before) == {}
    banner.finish()
    QTest.qWait(1)
    assert moved(window, before) == {}


def test_jobs_on_the_models_page_move_nothing(window: MainWindow) -> None:
    window.go_to(MODELS)
    QTest.qWait(1)
    before = places(window)
    window.models_page._show_job(Job(1, "Check Quick", ("Read",), JobState.RUNNING))
    QTest.qWait(1)
    row = window.models_page._job_rows[1]
    assert row.isVisible()
    assert moved(window, before) == {}
    window.models_page._show_job(Job(1, "Check Quick", ("Read",), JobState.DONE))
    QTest.qWait(1)
    assert moved(window, before) == {}


def test_a_measuring_takes_the_place_of_its_buttons(window: MainWindow) -> None:
    window.go_to(LAB)
    window.lab.show_view(SPEED)
    view = window.lab.speed
    QTest.qWait(1)
    before = place(view.plot)
    view.desk.job = Job(1, "Measure Quick", ("Measure",), JobState.RUNNING)
    view._show_job()
    QTest.qWait(1)
    assert view._job is not None
    assert view._job.isVisible()
    assert place(view.plot) == before
    view.desk.job = None
    view._show_job()
    QTest.qWait(1)
    assert view.measure.isVisible()
    assert place(view.plot) == before


def test_notes_stack_away_from_their_edge(page: QWidget, overlay: Overlay) -> None:
    first, second = note(), note()
    overlay.add_note(first)
    at = place(first)
    overlay.add_note(second)
    assert place(first) == at
    assert place(second).y() > at.y()
    assert overlay.height() < page.height()


def test_a_note_begins_at_the_other_edge_when_the_mouse_is_at_its_own(page: QWidget, overlay: Overlay) -> None:
    QCursor.setPos(page.mapToGlobal(QPoint(800, 40)))
    first = note()
    overlay.add_note(first)
    assert place(first).y() > page.mapToGlobal(QPoint(0, 300)).y()
    overlay.take_note(first)
    QCursor.setPos(page.mapToGlobal(FAR))
    second = note()
    overlay.add_note(second)
    assert place(second).y() < page.mapToGlobal(QPoint(0, 300)).y()


def test_a_second_note_does_not_come_under_the_mouse(page: QWidget, overlay: Overlay) -> None:
    first, second = note(), note()
    overlay.add_note(first)
    mouse = page.mapToGlobal(QPoint(800, 110))
    QCursor.setPos(mouse)
    overlay.add_note(second)
    assert not second.rect().contains(second.mapFromGlobal(mouse))


def test_a_double_click_on_dismiss_closes_one_note(page: QWidget, overlay: Overlay) -> None:
    first, second = button("Dismiss"), button("Dismiss")
    for each in (first, second):
        each.clicked.connect(lambda _=False, each=each: overlay.take_note(each))
        overlay.add_note(each)
    mouse = first.rect().center() + place(first)
    QCursor.setPos(mouse)
    QTest.mouseClick(first, Qt.MouseButton.LeftButton)
    at = place(second)
    assert not second.rect().contains(second.mapFromGlobal(mouse))
    QCursor.setPos(page.mapToGlobal(FAR))
    QTest.mouseMove(page, FAR)
    overlay._close_gaps()  # as the mouse leaves, which an offscreen one does not
    assert place(second).y() < at.y()


def test_what_does_not_fit_waits_and_the_newest_is_seen(overlay: Overlay) -> None:
    notes = [note(200) for _ in range(4)]
    for each in notes:
        overlay.add_note(each)
    assert [each.isVisible() for each in notes] == [False, False, True, True]
    overlay.take_note(notes[3])
    assert [each.isVisible() for each in notes[:3]] == [False, True, True]


def test_jobs_begin_at_the_bottom_and_the_page_can_be_scrolled_from_under_them(
    window: MainWindow, services: StageServices
) -> None:
    window.go_to(MODELS)
    window.models_page.choose(services.stage_store.entries[0].id)
    jobs = window.models_page._jobs
    assert jobs._home is Edge.BOTTOM
    window.models_page._show_job(Job(1, "Check Quick", ("Read",), JobState.RUNNING))
    assert window.models_page._cards.contentsMargins().bottom() > jobs.height()
    window.models_page._drop_job(1)
    assert window.models_page._cards.contentsMargins().bottom() == 0
