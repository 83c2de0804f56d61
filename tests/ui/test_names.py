"""What a person reads of a model where it is chosen: its name, its quantization, and whether it chats."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QRect
from PySide6.QtGui import QFontMetrics, QImage, QPainter
from PySide6.QtWidgets import QApplication, QLabel, QStyleOptionViewItem
from pytestqt.qtbot import QtBot

from app.library.entry import BASE_MODEL, ModelEntry
from tests.ui.conftest import load
from tests.ui.hands import wait_answer
from tests.ui.stage import StageServices, entry
from ui.library.models_model import ModelRole
from ui.main_window import MainWindow
from ui.widgets.elided import elided
from ui.widgets.row_delegate import RowDelegate

LONG = "A-Model-Of-Many-Words-That-Nobody-Can-Read-To-Its-End-Without-A-Pause-70B-Instruct-v0.3"


def at(path: str, name: str = LONG, **changes: object) -> ModelEntry:
    return replace(entry(name, path), id=path, path=Path(path), **changes)  # type: ignore[arg-type]


@pytest.fixture
def services(tmp_path: Path) -> Iterator[StageServices]:
    entries = [at("/a/x.gguf", place="a"), at("/b/x-base.gguf", place="b", is_base=True), entry("Quick")]
    result = StageServices(tmp_path, entries)
    yield result
    result.close()


def shown(window: MainWindow) -> list[str]:
    return [each.text() for each in window.chat.findChildren(QLabel) if each.isVisible()]


def test_a_base_model_is_called_one_wherever_it_is_shown(window: MainWindow, qtbot: QtBot) -> None:
    page = window.models_page
    page.choose("/b/x-base.gguf")
    assert page.details._base.text() == BASE_MODEL
    assert not page.details._base.isHidden()
    row = page.shelf.view.currentIndex()
    assert "base model" in row.data(ModelRole.DETAIL)
    page.choose("stage/quick")
    assert page.details._base.isHidden()
    window.models_page.filter.setText("base model")
    assert [each.id for each in page.shelf.model.entries] == ["/b/x-base.gguf"]

    base = window.models.find("/b/x-base.gguf")
    assert base
    window.desk.load(base)
    qtbot.waitUntil(lambda: window.desk.is_ready)
    assert any(text.startswith(f"{BASE_MODEL}\n") for text in shown(window)), "in the empty chat"
    window.chat.session.ask("Once upon a time")
    assert BASE_MODEL in shown(window), "and above the field as long as it talks"
    wait_answer(window, qtbot)
    load(window, qtbot, "Quick")
    assert not any(BASE_MODEL in text for text in shown(window))


def test_two_of_one_name_are_told_apart_in_every_list(window: MainWindow) -> None:
    picker = window.chat.picker
    picker._fill_menu()
    lines = [action.text() for action in picker.menu.actions() if "\t" in action.text()]
    assert len(set(lines)) == len(lines) == 3
    assert all("Q4_K_M" in line for line in lines)
    rows = [window.models.index(row) for row in range(window.models.rowCount())]
    assert len({(row.data(), row.data(ModelRole.TAG), row.data(ModelRole.DETAIL)) for row in rows}) == 3


def test_two_of_one_name_are_loaded_each_as_itself(window: MainWindow, services: StageServices, qtbot: QtBot) -> None:
    for path in ("/a/x.gguf", "/b/x-base.gguf"):
        found = window.models.find(path)
        assert found
        window.desk.load(found)
        qtbot.waitUntil(lambda: window.desk.is_ready)
        (handle,) = services.supervisor.engines()
        assert str(handle.model) == path


@pytest.mark.parametrize("width", [60, 120, 240, 360, 2000])
def test_a_quantization_is_never_cut(width: int, qapp: QApplication) -> None:
    metrics = QFontMetrics(qapp.font())
    text = elided(LONG, "Q4_K_M", metrics, width)
    assert text.endswith("  Q4_K_M")
    if width == 2000:
        assert text == f"{LONG}  Q4_K_M"
    if width in (240, 360):
        assert metrics.horizontalAdvance(text) <= width
        assert text.startswith("A-")
        assert text.removesuffix("  Q4_K_M").endswith("v0.3"), "the end says as much as the begin"


@pytest.mark.parametrize("width", [240, 300, 800])
def test_a_row_has_room_for_its_quantization(width: int, window: MainWindow, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: dict[str, tuple[int, int]] = {}  # text: pixels that it needs, and has
    draw = RowDelegate._text

    def watched(self: RowDelegate, painter: QPainter, rect: QRect, text: str, *rest: Any, **named: Any) -> int:
        result = draw(self, painter, rect, text, *rest, **named)
        drawn[text] = painter.fontMetrics().horizontalAdvance(text), rect.width()
        return result

    monkeypatch.setattr(RowDelegate, "_text", watched)
    shelf = window.models_page.shelf
    image = QImage(width, 56, QImage.Format.Format_RGB32)
    option = QStyleOptionViewItem()
    option.rect = image.rect()
    painter = QPainter(image)
    shelf.view.itemDelegate().paint(painter, option, shelf.model.index(0))
    painter.end()
    assert drawn[LONG][0] > drawn[LONG][1] or width == 800, "the name is shortened"
    assert drawn["Q4_K_M"][0] <= drawn["Q4_K_M"][1]
