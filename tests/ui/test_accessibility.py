"""Everything can be reached with the keyboard, and says what it is."""

from collections.abc import Iterator

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible, QAccessibleInterface
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from tests.ui.hands import ask, wait_answer
from ui.main_window import CHAT, DISCOVER, DOWNLOADS, LAB, MODELS, SERVER, SETTINGS, MainWindow
from ui.widgets.banner import Tone


def walk(interface: QAccessibleInterface) -> Iterator[QAccessibleInterface]:
    yield interface
    for number in range(interface.childCount()):
        child = interface.child(number)
        if child and child.isValid():
            yield from walk(child)


def nameless(window: MainWindow) -> list[str]:
    root = QAccessible.queryAccessibleInterface(window)
    return [
        f"{interface.role()} {interface.object()}"
        for interface in walk(root)
        if interface.state().focusable  # type: ignore[attr-defined]
        and not interface.state().invisible  # type: ignore[attr-defined]
        and not interface.text(QAccessible.Text.Name)
    ]


def test_no_control_is_without_a_name(window: MainWindow) -> None:
    window.banners.show_banner(Tone.ERROR, "Something happened.", [("Help", lambda: None)], "log")
    for page in range(SETTINGS + 1):
        window.go_to(page)
        root = QAccessible.queryAccessibleInterface(window)
        assert sum(1 for interface in walk(root) if interface.state().focusable) > 5  # type: ignore[attr-defined]
        assert nameless(window) == []


def test_a_chat_with_an_answer_has_names_too(quick: MainWindow, qtbot: QtBot) -> None:
    ask(quick, "```x```")
    wait_answer(quick, qtbot)
    assert nameless(quick) == []


def test_the_tab_key_goes_round_the_chat_page(quick: MainWindow) -> None:
    quick.go_to(CHAT)
    seen = []
    for _ in range(40):
        focused = QApplication.focusWidget()
        assert focused
        if focused in seen:
            break
        seen.append(focused)
        QTest.keyClick(focused, Qt.Key.Key_Tab)
    names = [widget.accessibleName() for widget in seen]
    for wanted in ("Chat", "New chat", "Search chats", "Conversations", "Model: Quick Q4_K_M", "Message"):
        assert wanted in names
    assert names.index("Model: Quick Q4_K_M") < len(names)


def test_pages_have_shortcuts(window: MainWindow) -> None:
    pages = (("2", MODELS), ("3", DISCOVER), ("4", DOWNLOADS), ("5", LAB), ("6", SERVER), ("1", CHAT), (",", SETTINGS))
    for key, page in pages:
        QTest.keyClick(window, key, Qt.KeyboardModifier.ControlModifier)
        assert window._pages.currentIndex() == page


def test_the_end_of_an_answer_is_announced(quick: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    said = []
    monkeypatch.setattr(QAccessible, "updateAccessibility", lambda event: said.append(event.message()))
    ask(quick, "hi")
    wait_answer(quick, qtbot)
    assert said == ["Answer finished"]


def test_every_page_fits_the_smallest_window(quick: MainWindow) -> None:
    quick.resize(quick.minimumSize())
    assert (quick.width(), quick.height()) == (900, 600)
    for page in range(SETTINGS + 1):
        quick.go_to(page)
        needed = quick.centralWidget().minimumSizeHint()
        assert needed.width() <= 900
        assert needed.height() <= 600
