"""Other programs keep the processor busy, and the window says why it is slower."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from tests.ui.conftest import load
from tests.ui.stage import StageServices, entry
from ui.main_window import MainWindow


@pytest.fixture
def services(tmp_path: Path) -> Iterator[StageServices]:
    result = StageServices(tmp_path, [entry("Quick"), entry("Crowded", "busy.gguf")])
    yield result
    result.close()


def test_the_strip_says_that_other_programs_are_in_the_way(window: MainWindow, qtbot: QtBot) -> None:
    load(window, qtbot, "Quick")
    assert window.strip.notice.text() == ""
    load(window, qtbot, "Crowded")
    sentence = "The processor is busy with other programs: 1 of 2 threads."
    qtbot.waitUntil(lambda: window.strip.notice.text() == sentence)
    assert sentence in window.strip.speed.toolTip()
    load(window, qtbot, "Quick")
    qtbot.waitUntil(lambda: window.strip.notice.text() == "")
