"""From an empty library to the first answer: one click for the model, one for the question."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QProgressBar
from pytestqt.qtbot import QtBot

from app.guide import GUIDE_NAME, SUGGESTED_QUESTIONS
from tests.ui.hands import press, wait_answer
from tests.ui.stage import StageServices
from ui.main_window import MainWindow

INSTALL = "Install the Slipstream Guide"


@pytest.fixture
def services(tmp_path: Path) -> Iterator[StageServices]:
    result = StageServices(tmp_path, [])
    yield result
    result.guide.go_on.set()
    result.close()


def test_one_click_installs_and_loads_and_one_asks(window: MainWindow, services: StageServices, qtbot: QtBot) -> None:
    assert window.chat.composer.edit.placeholderText() == "Install a model first"
    press(window, INSTALL)
    qtbot.waitUntil(lambda: bool(window.guide.job and window.guide.job.fraction == 0.25))
    bar = window.chat.welcome.findChild(QProgressBar)
    assert isinstance(bar, QProgressBar)
    assert bar.value() == 250
    services.guide.go_on.set()
    qtbot.waitUntil(lambda: window.desk.is_ready)
    assert window.desk.name == GUIDE_NAME
    press(window, SUGGESTED_QUESTIONS[1])
    assert SUGGESTED_QUESTIONS[1] in wait_answer(window, qtbot).turn.text


def test_the_installation_can_be_called_off(window: MainWindow, qtbot: QtBot) -> None:
    press(window, INSTALL)
    qtbot.waitUntil(lambda: bool(window.guide.job and window.guide.job.fraction))
    press(window.chat.welcome, "Cancel")
    qtbot.waitUntil(lambda: window.guide.job is None)
    press(window, INSTALL)


def test_a_failure_says_why_and_can_be_tried_again(window: MainWindow, services: StageServices, qtbot: QtBot) -> None:
    services.guide.failure = "The disk is full."
    services.guide.go_on.set()
    press(window, INSTALL)
    qtbot.waitUntil(lambda: bool(window.guide.job and window.guide.job.error))
    assert window.chat.welcome._job_row
    assert window.chat.welcome._job_row._step.text() == "The disk is full."
    services.guide.failure = None
    press(window.chat.welcome, "Try again")
    qtbot.waitUntil(lambda: window.desk.is_ready)
