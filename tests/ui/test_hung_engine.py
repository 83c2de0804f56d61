"""The window while its engine does nothing: it goes on, says so, and offers a way out."""

import os
import signal
import threading
from collections.abc import Iterator

import psutil
import pytest
from PySide6.QtCore import QMimeData, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QPushButton
from pytestqt.qtbot import QtBot

from app.inference.supervisor import EngineState
from tests.inference.conftest import is_alive
from tests.patience import PATIENCE
from tests.ui.conftest import load
from tests.ui.heartbeat import heartbeat
from tests.ui.stage import StageServices
from ui.chat.composer import MAX_PASTED
from ui.main_window import MainWindow

BUSY = 2.0  # seconds of the processor, of which the window takes far less at once
A_WHILE_MS = 60
LIMIT_MS = int(1000 * PATIENCE)

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="Windows cannot stop a process")


@pytest.fixture
def stopped(window: MainWindow, services: StageServices, qtbot: QtBot) -> Iterator[MainWindow]:
    """The window with an engine that has just been stopped, and no watchdog: the tests say what it finds.

    It is let go when a test has lost its patience: a window that waits for it is told from one that is slow."""
    services.supervisor._watch = None
    load(window, qtbot, "Slow")
    assert window.desk.handle
    pid = window.desk.handle.pid
    assert pid
    os.kill(pid, signal.SIGSTOP)
    release = threading.Timer(PATIENCE, os.kill, (pid, signal.SIGCONT))
    release.start()
    yield window
    release.cancel()
    release.join()
    if is_alive(pid):
        os.kill(pid, signal.SIGCONT)


def paste(window: MainWindow, text: str) -> None:
    data = QMimeData()
    data.setText(text)
    window.chat.composer.edit.insertFromMimeData(data)


def send(window: MainWindow) -> None:
    QTest.keyClick(window.chat.composer.edit, Qt.Key.Key_Return)


def press(window: MainWindow, title: str) -> None:
    (found,) = [b for banner in window.banners.banners() for b in banner.findChildren(QPushButton) if b.text() == title]
    found.click()


def is_stopped(window: MainWindow) -> bool:
    assert window.desk.handle
    return psutil.Process(window.desk.handle.pid).status() == psutil.STATUS_STOPPED


def be_silent(window: MainWindow, seconds: float | None) -> None:
    """What the watchdog does; its own patience is tested without a window."""
    assert window.desk.handle
    window.desk.handle.note_silence(seconds)


def test_a_long_question_to_a_stopped_engine_and_its_stop_hold_up_nothing(stopped: MainWindow, qtbot: QtBot) -> None:
    session = stopped.chat.session
    with heartbeat() as beat:
        paste(stopped, "word " * 16_000)
        send(stopped)
        qtbot.waitUntil(lambda: session.is_busy)
        qtbot.wait(A_WHILE_MS)
        session.stop()
        qtbot.waitUntil(lambda: not session.is_busy)
    assert is_stopped(stopped), "the window waited until it went on"
    assert beat.busiest < BUSY
    assert session.turns[-1].stopped
    assert len(session.turns[0].text) == 16_000 * 5 - 1


def test_the_silence_is_said_counted_and_over_by_itself(stopped: MainWindow, qtbot: QtBot) -> None:
    be_silent(stopped, 12.0)
    qtbot.waitUntil(lambda: [b.text for b in stopped.banners.banners()] == ["“Slow” has not answered for 12 s."])
    be_silent(stopped, 75.0)
    qtbot.waitUntil(lambda: [b.text for b in stopped.banners.banners()] == ["“Slow” has not answered for 1 min 15 s."])
    be_silent(stopped, None)
    qtbot.waitUntil(lambda: not stopped.banners.banners())


def test_who_waits_is_asked_again_at_twice_the_time(stopped: MainWindow, qtbot: QtBot) -> None:
    be_silent(stopped, 12.0)
    qtbot.waitUntil(lambda: len(stopped.banners.banners()) == 1)
    press(stopped, "Wait")
    assert not stopped.banners.banners()
    be_silent(stopped, 20.0)
    qtbot.waitUntil(lambda: stopped.desk.snapshot is not None and stopped.desk.snapshot.silent_seconds == 20.0)
    assert not stopped.banners.banners()
    be_silent(stopped, 24.0)
    qtbot.waitUntil(lambda: len(stopped.banners.banners()) == 1)


def test_restart_brings_another_process_and_the_banner_goes(stopped: MainWindow, qtbot: QtBot) -> None:
    handle = stopped.desk.handle
    assert handle
    pid = handle.pid
    be_silent(stopped, 12.0)
    qtbot.waitUntil(lambda: len(stopped.banners.banners()) == 1)
    press(stopped, "Restart")
    qtbot.waitUntil(lambda: handle.pid != pid and handle.snapshot.state is EngineState.READY, timeout=LIMIT_MS)
    qtbot.waitUntil(lambda: ["had not answered for 12 s" in b.text for b in stopped.banners.banners()] == [True])


def test_ten_megabytes_are_refused_with_a_sentence(quick: MainWindow, qtbot: QtBot) -> None:
    with heartbeat() as beat:
        paste(quick, "x" * 10_000_000)
        qtbot.wait(A_WHILE_MS)
    assert beat.busiest < BUSY
    assert "10,000,000 characters" in quick.banners.banners()[0].text
    assert not quick.chat.composer.edit.toPlainText()


def test_a_question_that_cannot_fit_is_given_back_and_never_stored(
    quick: MainWindow, services: StageServices, qtbot: QtBot
) -> None:
    edit = quick.chat.composer.edit
    with heartbeat() as beat:
        paste(quick, "y" * MAX_PASTED)
        send(quick)
        qtbot.wait(A_WHILE_MS)
    assert beat.busiest < BUSY
    assert "context of this model" in quick.banners.banners()[0].text
    assert edit.message() == "y" * MAX_PASTED
    assert not services.history.conversations()


def test_a_long_paste_keeps_its_place_in_the_message(quick: MainWindow, qtbot: QtBot) -> None:
    QTest.keyClicks(quick.chat.composer.edit, "Read this: ")
    paste(quick, "a" * 30_000)
    QTest.keyClicks(quick.chat.composer.edit, " and this: ")
    paste(quick, "b" * 30_000)
    assert "[Pasted text 1: 30,000 characters]" in quick.chat.composer.edit.toPlainText()
    send(quick)
    question = quick.chat.session.turns[0].text
    assert question == f"Read this: {'a' * 30_000} and this: {'b' * 30_000}"
    shown = quick.chat.transcript.widgets()[0].view.toPlainText()  # type: ignore[attr-defined]
    assert len(shown) < 3000
    quick.chat.session.stop()
    qtbot.waitUntil(lambda: not quick.chat.session.is_busy, timeout=LIMIT_MS)
