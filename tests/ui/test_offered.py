"""What cannot run is shown in the library with its reason, and is offered by no picker, button or card."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from tests.ui.stage import StageServices, entry
from ui.bridge import Bridge
from ui.main_window import MODELS, MainWindow
from ui.theme import Theme

BROKEN = replace(entry("Cut", "cut.gguf", "cut.gguf is cut short. Download it again."), is_loadable=False)


@pytest.fixture
def services(tmp_path: Path) -> Iterator[StageServices]:
    result = StageServices(tmp_path, [entry("Quick"), BROKEN])
    yield result
    result.close()


# a popup asks its platform for things that the offscreen one does not have
@pytest.mark.qt_log_ignore("This plugin does not support")
def test_the_picker_leaves_it_out(window: MainWindow) -> None:
    QTest.mouseClick(window.chat.picker.button, Qt.MouseButton.LeftButton)
    menu = window.chat.picker.menu
    assert [action.text().split("  ")[0] for action in menu.actions()] == ["Quick", "", "Plan a load"]
    (plans,) = [action.menu() for action in menu.actions() if action.menu()]
    assert [action.text() for action in plans.actions()] == ["Quick Q4_K_M"]
    menu.close()


def test_its_page_gives_the_reason_and_no_way_to_load_it(window: MainWindow, qtbot: QtBot) -> None:
    window.go_to(MODELS)
    page = window.models_page
    page.choose(BROKEN.id)
    qtbot.waitUntil(lambda: page.details.name.isVisible())
    assert [each.text() for each in (page.details._problem,)] == [BROKEN.problem]
    assert not page.details.load.isVisible()
    assert not page.details.quantize.isVisible()
    assert not page.card.isVisible()
    page._load(BROKEN)  # as a double click does
    assert window.desk.entry is None


def test_a_library_of_nothing_else_has_nothing_to_choose(
    tmp_path: Path, bridge: Bridge, theme: Theme, qtbot: QtBot
) -> None:
    services = StageServices(tmp_path / "other", [BROKEN])
    window = MainWindow(services, bridge, theme)
    qtbot.addWidget(window)
    window.show()
    qtbot.waitUntil(lambda: window.models.is_known)
    window.chat.picker._fill_menu()
    assert [action.text() for action in window.chat.picker.menu.actions()] == ["No model of the library can run"]
    window.close()
    services.close()
