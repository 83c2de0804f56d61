"""From an empty library to the first answer: one click for the model, one for the question."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QProgressBar
from pytestqt.qtbot import QtBot

from app.guide import GUIDE_NAME, SUGGESTED_QUESTIONS
from tests.ui.hands import press, wait_answer
from tests.ui.stage import StageServices
from ui.main_window import MODELS, MainWindow
from ui.widgets.job_row import JobRow

INSTALL = "Install the Slipstream Guide"
SMOLLM2 = "Install SmolLM2 (98 MB)"


@pytest.fixture
def services(tmp_path: Path) -> Iterator[StageServices]:
    result = StageServices(tmp_path, [])
    yield result
    result.guide.go_on.set()
    result.small.go_on.set()
    result.close()


def test_one_click_installs_and_loads_and_one_asks(window: MainWindow, services: StageServices, qtbot: QtBot) -> None:
    assert window.chat.composer.edit.placeholderText() == "Install a model first"
    press(window, INSTALL)
    assert window.chat.composer.edit.hasFocus(), "the button goes, and the person will write next"
    qtbot.waitUntil(lambda: bool(window.guide.job and window.guide.job.fraction == 0.25))
    bar = window.chat.welcome.findChild(QProgressBar)
    assert isinstance(bar, QProgressBar)
    assert bar.value() == 250
    services.guide.go_on.set()
    qtbot.waitUntil(lambda: window.desk.is_ready)
    assert window.desk.name == GUIDE_NAME
    press(window, SUGGESTED_QUESTIONS[1])
    assert window.chat.composer.edit.hasFocus()
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


def test_smollm2_is_the_other_choice_and_loads_by_itself(
    window: MainWindow, services: StageServices, qtbot: QtBot
) -> None:
    services.small.failure = "The network is down."
    press(window, SMOLLM2)
    qtbot.waitUntil(lambda: bool(window.guide.job and window.guide.job.fraction == 0.25))
    assert window.chat.welcome._title.text() == "Installing SmolLM2"
    press(window.chat.welcome, "Cancel")
    qtbot.waitUntil(lambda: window.guide.job is None)
    services.small.go_on.set()
    press(window, SMOLLM2)
    qtbot.waitUntil(lambda: bool(window.guide.job and window.guide.job.error))
    services.small.failure = None
    press(window.chat.welcome, "Try again")
    qtbot.waitUntil(lambda: window.desk.is_ready)
    assert window.desk.name == "SmolLM2-135M-Instruct"


def test_the_models_page_offers_both_and_shows_the_one_that_comes(
    window: MainWindow, services: StageServices, qtbot: QtBot
) -> None:
    window.go_to(MODELS)
    page = window.models_page
    press(page, SMOLLM2)
    qtbot.waitUntil(lambda: any(row.isVisible() for row in page.findChildren(JobRow)))
    assert not page.install.isEnabled()
    assert not page.install_smollm2.isEnabled()
    press(page, "Cancel")
    qtbot.waitUntil(page.install.isEnabled)
    services.small.go_on.set()
    press(page, SMOLLM2)
    qtbot.waitUntil(lambda: window.desk.is_ready)
    assert not [row for row in page.findChildren(JobRow) if row.isVisible()]
