"""What the window does while nobody touches it: nothing."""

import os
import signal
import threading

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit
from pytestqt.qtbot import QtBot

from app.cli.ending import Ending
from ui.asked_to_end import AskedToEnd
from ui.resting_caret import RestingCaret


def test_the_caret_rests_after_a_while_and_blinks_again_with_a_key(qapp: QApplication, qtbot: QtBot) -> None:
    blinks = qapp.cursorFlashTime()
    assert blinks > 0
    edit, other, caret = QLineEdit(), QLineEdit(), RestingCaret(qapp)
    qapp.focusChanged.disconnect(caret._follow)  # the test says who has the focus
    caret._timer.setInterval(1)
    for widget in (edit, other):
        qtbot.addWidget(widget)
        widget.show()
    caret._follow(None, edit)
    qtbot.waitUntil(lambda: qapp.cursorFlashTime() == 0)
    caret._timer.setInterval(3_600_000)
    QTest.keyClick(edit, Qt.Key.Key_A)
    assert qapp.cursorFlashTime() == blinks
    caret._rest()
    caret._follow(edit, other)
    assert qapp.cursorFlashTime() == blinks, "another field has the focus"
    caret._rest()
    QTest.keyClick(edit, Qt.Key.Key_A)
    assert qapp.cursorFlashTime() == 0, "it is not looked at any more"
    caret._follow(other, None)
    caret._wake()
    caret._timer.stop()
    caret.deleteLater()


def test_a_signal_closes_the_window_without_a_clock_that_ticks(qapp: QApplication, qtbot: QtBot) -> None:
    asked = Ending()
    before = signal.signal(signal.SIGTERM, lambda *_: asked.hear())
    ending = AskedToEnd(qapp, asked)
    window = QLineEdit()
    qtbot.addWidget(window)
    window.show()
    try:
        qtbot.waitUntil(lambda: asked._is_heeded)
        assert window.isVisible()
        os.kill(os.getpid(), signal.SIGTERM)
        qtbot.waitUntil(lambda: not window.isVisible())
    finally:
        ending.close()
        signal.signal(signal.SIGTERM, before)
    assert threading.current_thread() is threading.main_thread()
