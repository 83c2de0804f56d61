"""The models page over a library of several: found, named, noted, checked, brought in, left out."""

from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPointF, QRectF, Qt, QUrl
from PySide6.QtGui import QDropEvent, QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel
from pytestqt.modeltest import ModelTester
from pytestqt.qtbot import QtBot

from app.jobs.job import JobState
from app.library.origin import Origin
from app.library.usage import Share
from backends.formats.gguf import read_header
from tests.convert import checkpoints
from tests.library import foreign
from tests.patience import PATIENCE
from tests.ui.hands import press
from tests.ui.stage import StageServices, entry
from ui.bridge import Bridge
from ui.library.models_model import ModelsModel
from ui.library.shelf_model import FAVOURITES, Order, ShelfModel
from ui.library.treemap import Treemap, squarified
from ui.main_window import MODELS, SETTINGS, MainWindow
from ui.theme import Theme


@pytest.fixture
def page(window: MainWindow) -> MainWindow:
    window.go_to(MODELS)
    window.models_page.choose("stage/quick")
    return window


def names(shelf: ShelfModel) -> list[str]:
    return [each.name for each in shelf.entries]


def test_the_shelf_searches_filters_and_sorts(
    services: StageServices, bridge: Bridge, qtbot: QtBot, qtmodeltester: ModelTester
) -> None:
    big = replace(entry("Zeppelin"), bytes=9_000_000_000, origin=Origin.OLLAMA, note="for the garden")
    services.stage_store.entries.append(big)
    services.library.set_favourite("stage/slow", True)
    models = ModelsModel(services.library, bridge)
    shelf = ShelfModel(models)
    with qtbot.waitSignal(models.refreshed):
        models.refresh()
    qtmodeltester.check(shelf)
    assert names(shelf) == ["Broken", "Quick", "Slow", "Zeppelin"]
    shelf.sort_by(Order.SIZE)
    assert names(shelf)[0] == "Zeppelin"
    for text, left in (("GARDEN olla", ["Zeppelin"]), ("q4_k llama slow", ["Slow"]), ("nothing", [])):
        shelf.search(text)
        assert names(shelf) == left
    shelf.search("")
    shelf.show_only(FAVOURITES)
    assert names(shelf) == ["Slow"]
    shelf.show_only(Origin.OLLAMA.value)
    assert names(shelf) == ["Zeppelin"]


def test_a_model_is_renamed_starred_and_noted_in_place(page: MainWindow, services: StageServices, qtbot: QtBot) -> None:
    details = page.models_page.details
    press(page.models_page, "Rename")
    QTest.keyClicks(details.name.edit, "My quick one")
    QTest.keyClick(details.name.edit, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: page.models.named("My quick one") is not None)
    QTest.mouseClick(details.name.star, Qt.MouseButton.LeftButton)
    QTest.keyClicks(details.note, "fast")
    details.note.save()
    remarks = services.library._remarks
    path = str(entry("Quick").path)
    qtbot.waitUntil(lambda: remarks.of(path).is_favourite and remarks.of(path).note == "fast")
    press(page.models_page, "Rename")
    QTest.keyClicks(details.name.edit, "never mind")
    with qtbot.assertNotEmitted(details.name.renamed):
        QTest.keyClick(details.name.edit, Qt.Key.Key_Escape)
    assert not details.name.edit.isVisible()


def test_what_would_be_deleted_is_listed_first(page: MainWindow, qtbot: QtBot) -> None:
    press(page.models_page, "Remove…")
    question = page.models_page.details.question
    qtbot.waitUntil(question.isVisible)
    shown = " ".join(label.text() for label in question.findChildren(QLabel))
    assert "This deletes 1 file and frees 1.2 GB" in shown
    assert "Quick.gguf" in shown


def test_what_belongs_to_others_cannot_be_removed_here(page: MainWindow, services: StageServices, qtbot: QtBot) -> None:
    foreign_entry = replace(entry("Theirs"), origin=Origin.OLLAMA)
    services.stage_store.entries.append(foreign_entry)
    page.models.refresh()
    qtbot.waitUntil(lambda: page.models.named("Theirs") is not None)
    page.models_page.choose(foreign_entry.id)
    details = page.models_page.details
    assert not details.remove.isVisible()
    assert not details.quantize.isVisible()
    assert any("Ollama. Used in place, never modified" in label.text() for label in details.findChildren(QLabel))


def test_what_is_no_model_is_not_offered_a_check(page: MainWindow, services: StageServices, qtbot: QtBot) -> None:
    reason = "“page.gguf” is a web page, no model. Download the file itself."
    broken = replace(entry("Page"), is_loadable=False, problem=reason)
    services.stage_store.entries.append(broken)
    page.models.refresh()
    qtbot.waitUntil(lambda: page.models.named("Page") is not None)
    details = page.models_page.details
    assert details.verify.isVisible()
    page.models_page.choose(broken.id)
    assert not details.verify.isVisible()
    assert details._problem.text() == reason
    page.models_page.library.verify([broken])
    assert not services.jobs.jobs(), "nor as one of several of a size"


def test_the_id_that_programs_ask_for_is_shown_and_copied(page: MainWindow) -> None:
    details = page.models_page.details
    assert details._values["Id"].text().replace("\u200b", "").startswith("stage/quick\nWrite this on the port")
    press(details, "Copy id")
    assert QGuiApplication.clipboard().text() == "stage/quick"


def test_a_checkpoint_of_a_persons_own_is_converted_here(
    page: MainWindow, services: StageServices, tmp_path: Path, qtbot: QtBot
) -> None:
    folder = tmp_path / "my checkpoint"
    checkpoints.write(folder)
    own = replace(entry("My checkpoint"), path=folder, is_checkpoint=True, origin=Origin.FOLDER, quantization="")
    services.stage_store.entries.append(own)
    page.models.refresh()
    qtbot.waitUntil(lambda: page.models.named("My checkpoint") is not None)
    details = page.models_page.details
    assert not details.convert.isVisible()
    page.models_page.choose(own.id)
    assert not details.load.isVisible()
    press(details, "Convert to GGUF")
    qtbot.waitUntil(lambda: bool(services.jobs.jobs()))
    (job,) = services.jobs.jobs()
    assert services.jobs.handle(job.id).wait(PATIENCE).state is JobState.DONE
    made = services.store.models_dir / "local" / "My-checkpoint" / "My-checkpoint-F16.gguf"
    assert read_header(made).metadata["general.architecture"] == "llama"
    assert (folder / "model.safetensors").exists()


def test_a_dropped_file_asks_and_comes_in(
    page: MainWindow, services: StageServices, tmp_path: Path, qtbot: QtBot
) -> None:
    file = foreign.gguf(tmp_path / "drop" / "dropped.gguf")
    drop(page, file)
    assert page.models_page.dropped.isVisible()
    press(page.models_page.dropped, "Copy into the library")
    qtbot.waitUntil(lambda: (services.store.models_dir / "local" / "dropped" / "dropped.gguf").exists())
    qtbot.waitUntil(lambda: all(job.state.is_final for job in services.jobs.jobs()))
    assert file.exists()


def test_a_dropped_folder_is_listed_and_left_out_again(
    page: MainWindow, services: StageServices, tmp_path: Path, qtbot: QtBot
) -> None:
    folder = tmp_path / "drop"
    foreign.gguf(folder / "a.gguf")
    drop(page, folder)
    press(page.models_page.dropped, "Use the folder in place")
    qtbot.waitUntil(lambda: services.settings.folders == (str(folder),))
    page.go_to(SETTINGS)
    row = page.settings_page.folders
    row.add_folder(folder)
    assert any("are listed already" in label.text() for label in row.findChildren(QLabel))
    press(row, "Leave out")
    assert services.settings.folders == ()
    page.settings_page.libraries.boxes["jan"].setChecked(False)
    assert services.settings.libraries == ("lm-studio", "ollama", "hf-cache")


def test_other_files_are_told_to_be_no_models(page: MainWindow, tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    text.touch()
    drop(page, text)
    assert any("Not a GGUF file" in label.text() for label in page.models_page.dropped.findChildren(QLabel))
    press(page.models_page.dropped, "Dismiss")
    assert not page.models_page.dropped.isVisible()


def test_the_disk_is_shown_as_areas(page: MainWindow, qtbot: QtBot) -> None:
    press(page.models_page, "Disk use")
    assert page.models_page.disk.isVisible()
    qtbot.waitUntil(lambda: "No duplicates found" in page.models_page.disk.doubles.text())
    press(page.models_page, "Back to the model")
    assert page.models_page.details.isVisible()


def test_areas_are_in_proportion_and_fill_the_picture() -> None:
    values = [600, 300, 200, 60, 30, 10]
    rects = squarified(values, QRectF(0, 0, 400, 300))
    areas = [rect.width() * rect.height() for rect in rects]
    assert areas == pytest.approx([value * 100 for value in values])
    assert all(QRectF(-1, -1, 402, 302).contains(rect) for rect in rects)
    assert not any(a.adjusted(0.5, 0.5, -0.5, -0.5).intersects(b) for a in rects for b in rects if a is not b)
    assert squarified([], QRectF(0, 0, 9, 9)) == []


def drop(window: MainWindow, path: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    event = QDropEvent(
        QPointF(50, 50),
        Qt.DropAction.CopyAction,
        data,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    window.models_page.dropEvent(event)


def test_an_area_that_the_keys_are_at_is_told(theme: Theme, qtbot: QtBot) -> None:
    picture = Treemap(theme)
    qtbot.addWidget(picture)
    picture.resize(400, 300)
    picture.show_shares([Share(Origin.MANAGED, ((entry("Quick"), 3_000), (entry("Slow"), 1_000)))])
    assert picture.accessibleDescription() == "The largest: Quick Q4_K_M, 3 kB; Slow Q4_K_M, 1 kB"
    QTest.keyClick(picture, Qt.Key.Key_Right)
    assert picture.accessibleDescription() == "Slow Q4_K_M, Slipstream, 1 kB"


def test_a_small_button_stands_in_the_middle_of_its_row(page: MainWindow) -> None:
    details = page.models_page.details
    assert abs(details._copy.geometry().center().y() - details.verify.geometry().center().y()) <= 1
