"""An engine that dies takes nothing with it: the words stay, the window says what happened, and goes on."""

import os
import signal
import sys
from dataclasses import replace

import pytest
from pytestqt.qtbot import QtBot

from tests.ui.hands import answer, ask, let_go, press, wait_answer, wait_words
from tests.ui.stage import StageServices
from ui.main_window import SETTINGS, MainWindow

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills with a POSIX signal")


def kill(window: MainWindow) -> None:
    assert window.desk.handle
    assert window.desk.handle.pid
    os.kill(window.desk.handle.pid, signal.SIGKILL)


def test_a_killed_engine_leaves_the_words_and_a_sentence(
    slow: MainWindow, services: StageServices, qtbot: QtBot
) -> None:
    ask(slow, "long 50")
    wait_words(slow, qtbot)
    kill(slow)
    widget = wait_answer(slow, qtbot)
    assert "it was killed from outside" in widget.problem
    assert len(widget.view.toPlainText()) >= 20
    kept = services.history.turns(slow.chat.session.conversation or 0)[-1]
    assert kept.text == widget.turn.text
    assert kept.problem == widget.problem
    assert widget.turn.timings is kept.timings is None, "what was told at its beginning is no account of it"
    qtbot.waitUntil(lambda: bool(slow.banners.banners()))
    assert "The engine stopped" in slow.banners.banners()[0].text


def test_try_again_waits_for_the_restart_and_answers(held: MainWindow, qtbot: QtBot) -> None:
    ask(held, "long 2")
    wait_words(held, qtbot)
    kill(held)
    qtbot.waitUntil(lambda: bool(held.banners.banners()))
    press(held.banners, "Try again")
    qtbot.waitUntil(lambda: held.chat.session.is_busy)
    let_go(held)
    widget = wait_answer(held, qtbot)
    assert widget.problem == ""
    assert widget.turn.text.count("keeps what holds") == 2
    assert not held.banners.banners()


def test_the_next_question_works_after_the_restart(slow: MainWindow, qtbot: QtBot) -> None:
    said: list[str] = []  # of every state, however short a while it lasted
    slow.desk.changed.connect(lambda: said.append(slow.chat.composer.edit.placeholderText()))
    kill(slow)
    qtbot.waitUntil(lambda: "Slow is loading…" in said and slow.desk.is_ready)
    ask(slow, "hi")
    assert "You said “hi”" in wait_answer(slow, qtbot).turn.text


def test_an_aborted_engine_shows_its_log(quick: MainWindow, qtbot: QtBot) -> None:
    assert quick.desk.handle
    with quick.desk.handle.log_path.open("a") as log:
        log.write("ggml_abort: the last words\n")
    ask(quick, "now !crash")
    wait_answer(quick, qtbot)
    qtbot.waitUntil(lambda: bool(quick.banners.banners()))
    banner = quick.banners.banners()[0]
    assert banner._details.isHidden()
    press(banner, "Show log")
    assert not banner._details.isHidden()
    assert "the last words" in banner._details.toPlainText()
    assert answer(quick).problem
    qtbot.waitUntil(lambda: quick.desk.is_ready)


def test_one_that_ran_out_of_memory_offers_what_fits_and_the_settings(
    quick: MainWindow, services: StageServices, qtbot: QtBot
) -> None:
    services.settings = replace(services.settings, context=4096, gpu_layers=99)
    quick.desk.reload()
    qtbot.waitUntil(lambda: quick.desk.is_ready)
    forced = quick.desk.handle
    assert forced
    assert forced.options.gpu_layers == 99
    with forced.log_path.open("a") as log:
        log.write("what():  vk::Device::allocateMemory: ErrorOutOfDeviceMemory\n")
    ask(quick, "now !crash")
    wait_answer(quick, qtbot)
    qtbot.waitUntil(lambda: bool(quick.banners.banners()))
    (banner,) = quick.banners.banners()
    assert "it ran out of memory" in banner.text
    press(banner, "Open settings")
    assert quick._pages.currentIndex() == SETTINGS
    quick.shortage._show(banner.text, "")
    press(quick.banners, "Load what fits")
    qtbot.waitUntil(lambda: quick.desk.is_ready and quick.desk.handle is not forced)
    assert quick.desk.handle
    assert (quick.desk.handle.options.gpu_layers, quick.desk.handle.options.context) == (None, None)
