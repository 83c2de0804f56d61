"""Names from files are letters to the window: no markup, no control characters, no mnemonics, however odd the file."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import Qt as GuiQt
from PySide6.QtWidgets import QAbstractButton, QAbstractItemView, QLabel, QWidget
from pytestqt.qtbot import QtBot

from app.paths import Paths
from app.services import Services
from app.settings import Settings
from app.settings_file import save_settings
from backends.bounds import UNPRINTABLE
from tests.library import foreign
from tests.library.oddities import ESCAPES, NO_UTF8
from ui.application import listen
from ui.bridge import Bridge
from ui.main_window import CHAT, MODELS, MainWindow
from ui.plain import plain_tip, unmarked
from ui.theme import Theme

UI = Path(__file__).parents[2] / "ui"
MARK_UP = "<b>bold</b><img src=x> & co"
NAMES = (MARK_UP, ESCAPES, "n" * 100_000, NO_UTF8.encode("utf-8", "replace").decode())


@pytest.fixture
def odd(tmp_path: Path, bridge: Bridge, theme: Theme, qtbot: QtBot) -> Iterator[MainWindow]:
    """The real library, with odd files in a folder of the person's, behind the real window."""
    paths = Paths.from_environment()
    paths.ensure()
    folders = (str(tmp_path / "f"), str(tmp_path / MARK_UP.replace("/", "")))
    save_settings(paths.settings_file, Settings(theme="light", serve=False, folders=folders))
    for number, name in enumerate(NAMES):
        foreign.gguf(tmp_path / "f" / f"{number}.gguf", name)
    foreign.gguf(tmp_path / "f" / f"{NO_UTF8}{MARK_UP.replace('/', '')}\n\x1b[2J.gguf", "")
    (tmp_path / "f" / "x").symlink_to("x")
    (tmp_path / "f" / "circle.gguf").symlink_to("circle.gguf")
    services = Services(paths)
    stop = listen(services, bridge)
    window = MainWindow(services, bridge, theme)
    qtbot.addWidget(window)
    window.show()
    qtbot.waitUntil(lambda: len(window.models.entries) == len(NAMES) + 2)
    yield window
    window.close()
    stop()
    services.close()


# a popup asks its platform for things that the offscreen one does not have
@pytest.mark.qt_log_ignore("This plugin does not support")
def test_whatever_a_widget_shows_is_plain(odd: MainWindow, qtbot: QtBot) -> None:
    odd.go_to(MODELS)
    page = odd.models_page
    page.show_disk.click()
    page.show_disk.click()
    for entry in odd.models.entries:
        page.choose(entry.id)
        qtbot.waitUntil(lambda entry=entry: page.shelf.entry == entry)
        walk(odd)
    assert "is a link that goes round in a circle" in page.unread.text
    assert "is not there" in page.unread.text
    assert page.unread.isVisible()
    odd.go_to(CHAT)
    odd.chat.picker.open_menu()
    walk(odd)
    titles = [action.text() for action in odd.chat.picker.menu.actions()]
    assert any("<b>bold</b><img src=x> && co" in title for title in titles)
    odd.chat.picker.menu.close()


def walk(window: QWidget) -> None:
    widgets = [window, *window.findChildren(QWidget)]
    for widget in widgets:
        assert not GuiQt.mightBeRichText(widget.toolTip()) or "&lt;b&gt;" in widget.toolTip()
        if isinstance(widget, QLabel):
            assert widget.textFormat() is Qt.TextFormat.PlainText, widget.text()
            check(widget.text().replace("\u200b", ""))
        if isinstance(widget, QAbstractButton):
            check(widget.text())
        if isinstance(widget, QAbstractItemView) and widget.model() is not None:
            for row in range(widget.model().rowCount()):
                check(str(widget.model().index(row, 0).data() or ""))


def check(text: str) -> None:
    assert not UNPRINTABLE.search(text.replace("\n", "")), ascii(text)
    assert len(text) < 2000


def test_tooltips_and_buttons_take_nothing_for_markup() -> None:
    assert plain_tip("a < b") == "a < b"
    assert "<b>" not in plain_tip(MARK_UP)
    assert unmarked("a & b") == "a && b"


def test_labels_are_made_in_one_place() -> None:
    """Qt guesses what a text is; ours are told that they are plain."""
    for path in UI.rglob("*.py"):
        calls = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
        made = {node.func.id for node in calls if isinstance(node.func, ast.Name)}
        assert "QLabel" not in made or path.name == "labels.py", path
        assert not made & {"QMessageBox", "QToolTip"}, path
