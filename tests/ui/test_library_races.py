"""The models page while the library changes under a person's hands: answers come late, jobs end elsewhere."""

from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QMainWindow
from pytestqt.qtbot import QtBot

from app.errors import ConversionError
from app.jobs.job import Job, JobContext, JobState, Lane
from app.lab.card import Card
from app.library.duplicates import Duplicates
from tests.lab.cards import card
from tests.ui.hands import press
from tests.ui.stage import StageServices, entry
from ui.bridge import Bridge
from ui.library.drop_question import DropQuestion
from ui.library.note_edit import NoteEdit
from ui.main_window import MODELS, MainWindow


@pytest.fixture
def page(window: MainWindow) -> MainWindow:
    window.go_to(MODELS)
    window.models_page.choose("stage/quick")
    return window


def test_a_name_that_is_being_written_never_goes_to_another_model(
    page: MainWindow, services: StageServices, qtbot: QtBot
) -> None:
    twin = replace(entry("Quick"), id="stage/twin", path=Path("/models/twin.gguf"))
    services.stage_store.entries.append(twin)
    with qtbot.waitSignal(page.models.refreshed):
        page.models.refresh()
    press(page.models_page, "Rename")
    details = page.models_page.details
    QTest.keyClicks(details.name.edit, "mine")
    page.models_page.choose("stage/twin")  # of the same name
    assert not details.name.edit.isVisible()


def test_a_note_is_not_overwritten_while_it_is_written(qtbot: QtBot) -> None:
    edit = NoteEdit()
    qtbot.addWidget(edit)
    written: list[str] = []
    edit.written.connect(lambda _, note: written.append(note))
    edit.show_note("a", "old")
    edit.setPlainText("old and new ")
    edit.save()
    edit.show_note("a", "old")  # a look that began before the note was written
    assert edit.toPlainText() == "old and new "
    edit.show_note("a", "old and new")  # as the library keeps it
    assert edit.toPlainText() == "old and new "
    edit.show_note("a", "changed by another window")
    assert edit.toPlainText() == "changed by another window"
    edit.show_note("b", "of b")
    assert edit.toPlainText() == "of b"
    assert written == ["old and new "]


def test_a_card_made_while_another_model_is_looked_at_is_shown(
    page: MainWindow, services: StageServices, bridge: Bridge, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    cards: dict[str, list[Card]] = {}
    monkeypatch.setattr(services.lab, "cards_of", lambda path: cards.get(path.name, []))
    monkeypatch.setattr(services, "measure_model", lambda _entry, _against: 99)
    view = page.models_page.card
    page.models_page.choose("stage/slow")
    page.models_page.choose("stage/quick")
    view.measure_clicked.emit()
    page.models_page.choose("stage/slow")
    cards["Quick.gguf"] = [card()]
    bridge.job_changed.emit(Job(99, "Measure Quick", ("Measure",), JobState.DONE))
    page.models_page.choose("stage/quick")
    qtbot.waitUntil(lambda: "Close to the original" in view._verdict.text())


def test_a_job_that_failed_can_be_put_away(page: MainWindow, services: StageServices, qtbot: QtBot) -> None:
    class Failing:
        title = "Check Quick"
        steps = ("Read",)

        def run(self, _context: JobContext) -> None:
            raise ConversionError("The disk does not answer.")

    job_id = services.jobs.add(Failing(), Lane.HEAVY).id
    rows = page.models_page._job_rows
    qtbot.waitUntil(lambda: job_id in rows and rows[job_id].job.state is JobState.FAILED)
    press(page.models_page, "Dismiss")
    assert not rows
    assert not page.models_page._jobs.isVisible()


def test_what_is_compared_is_told_once_it_is_known(
    page: MainWindow, services: StageServices, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    twins = (entry("Quick"), entry("Slow", "slow-20ms.gguf"))
    answers = [Duplicates((), (twins,)), Duplicates((), ())]
    monkeypatch.setattr(services.library, "duplicates", lambda: answers[0])
    disk = page.models_page.disk
    press(page.models_page, "Disk use")
    qtbot.waitUntil(disk.compare.isVisible)
    monkeypatch.setattr(page.models_page.library, "verify", lambda _entries: None)
    with qtbot.waitSignal(disk.check_wanted) as wanted:
        QTest.mouseClick(disk.compare, Qt.MouseButton.LeftButton)
    assert wanted.args == [list(twins)]
    assert not disk.compare.isEnabled()
    answers.pop(0)
    services.library.set_favourite("stage/slow", True)  # as a check does, it changes an entry
    page.models.refresh()
    qtbot.waitUntil(lambda: not disk.compare.isVisible())


def test_all_folders_that_were_dropped_are_listed(tmp_path: Path, qtbot: QtBot) -> None:
    holder = QMainWindow()
    question = DropQuestion()
    holder.setCentralWidget(question)
    qtbot.addWidget(holder)
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    listed: list[Path] = []
    question.folder_wanted.connect(listed.append)
    question.ask(folders)
    assert question.list_folder.text() == "Use them in place"
    question.list_folder.click()
    assert listed == folders


def test_what_is_loaded_is_known_by_its_file_as_well(quick: MainWindow, services: StageServices) -> None:
    assert quick.desk.entry is not None
    renamed = replace(quick.desk.entry, id="stage/quick:Q4_K_M")  # another of its name has come in
    assert services._is_loaded(renamed)
    assert not services._is_loaded(entry("Slow", "slow-20ms.gguf"))


def test_a_list_that_is_made_anew_stays_where_it_was_scrolled_to(
    page: MainWindow, services: StageServices, qtbot: QtBot
) -> None:
    services.stage_store.entries.extend(entry(f"Model {number:02}") for number in range(60))
    with qtbot.waitSignal(page.models.refreshed):
        page.models.refresh()
    page.models_page.choose("stage/broken")  # the first
    bar = page.models_page.view.verticalScrollBar()
    qtbot.waitUntil(lambda: bar.maximum() > 0)  # rows are laid out when the loop rests
    bar.setValue(bar.maximum())
    place = bar.value()
    assert place > 0
    services.stage_store.entries.append(entry("Zebra"))
    with qtbot.waitSignal(page.models.refreshed):
        page.models.refresh()
    assert bar.value() == place
    assert page.models_page.shelf.entry == entry("Broken", "bad.gguf")
    page.models_page.choose("stage/broken")
    assert bar.value() == 0
