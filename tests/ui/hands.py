"""What a person does, with real keys and clicks; and waiting for what they would see."""

import time

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QPushButton, QWidget
from pytestqt.qtbot import QtBot

from tests.patience import PATIENCE
from ui.chat.turn_widget import AnswerWidget
from ui.main_window import MainWindow


def ask(window: MainWindow, text: str) -> None:
    edit = window.chat.composer.edit
    edit.setFocus()
    QTest.keyClicks(edit, text)
    QTest.keyClick(edit, Qt.Key.Key_Return)


def answer(window: MainWindow) -> AnswerWidget:
    widget = window.chat.transcript.widgets()[-1]
    assert isinstance(widget, AnswerWidget)
    return widget


def wait_answer(window: MainWindow, qtbot: QtBot) -> AnswerWidget:
    qtbot.waitUntil(lambda: not window.chat.session.is_busy)
    return answer(window)


def wait_words(window: MainWindow, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: bool(window.chat.session.turns) and len(window.chat.session.turns[-1].text) > 20)


def let_go(window: MainWindow) -> None:
    """The model of the fixture `held` goes on."""
    assert window.desk.entry
    window.desk.entry.path.touch()


def press(parent: QWidget, text: str) -> None:
    """Click the button of that text, once it is to be seen."""
    deadline = time.monotonic() + PATIENCE
    while not _buttons(parent, text):
        assert time.monotonic() < deadline, f"no button “{text}” is to be seen"
        QTest.qWait(20)
    QTest.mouseClick(_buttons(parent, text)[0], Qt.MouseButton.LeftButton)


def _buttons(parent: QWidget, text: str) -> list[QPushButton]:
    return [button for button in parent.findChildren(QPushButton) if button.text() == text and button.isVisible()]
