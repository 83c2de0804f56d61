"""The machine is in an engine's way, and the window says why it is slower or ends early."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from backends.protocol import Output
from tests.inference.conftest import ask
from tests.ui.conftest import load
from tests.ui.stage import StageServices, entry
from ui.main_window import MainWindow


@pytest.fixture
def services(tmp_path: Path) -> Iterator[StageServices]:
    result = StageServices(tmp_path, [entry("Quick"), entry("Crowded", "busy.gguf"), entry("Poor", "512cells.gguf")])
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


def test_the_strip_says_that_there_is_no_memory_for_more(
    window: MainWindow, services: StageServices, qtbot: QtBot
) -> None:
    load(window, qtbot, "Poor")
    assert window.strip.notice.text() == ""
    (engine,) = services.supervisor.engines()
    last = ask(engine, "long 50").wait().last
    assert isinstance(last, Output)
    assert last.problem
    qtbot.waitUntil(lambda: window.strip.notice.text().startswith("The KV cache cannot grow beyond 512 tokens"))
    assert window.strip.notice.text() in window.strip.context.toolTip()
