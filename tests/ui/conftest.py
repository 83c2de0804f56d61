"""Real widgets without a screen, over the real services with the fake engine."""

import os

os.environ["QT_QPA_PLATFORM"] = "offscreen"

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from tests import patience
from tests.ui.discovering import double, hub_double, page, running_double  # noqa: F401
from tests.ui.stage import StageServices, entry
from ui.application import listen
from ui.bridge import Bridge
from ui.main_window import MainWindow
from ui.theme import Theme

PATIENCE = int(1000 * patience.PATIENCE)  # milliseconds
ENTRIES = (entry("Quick"), entry("Slow", "slow-20ms.gguf"), entry("Broken", "bad.gguf"))


class PatientBot(QtBot):
    """Waits as long as a busy machine needs, where pytest-qt gives up after 5 s."""

    def waitUntil(self, callback: Callable[[], bool | None], *, timeout: int = PATIENCE) -> None:
        super().waitUntil(callback, timeout=timeout)

    def waitSignal(self, signal: Any, *, timeout: int = PATIENCE, **options: Any) -> Any:
        return super().waitSignal(signal, timeout=timeout, **options)

    def waitSignals(self, signals: Any = None, *, timeout: int = PATIENCE, **options: Any) -> Any:
        return super().waitSignals(signals, timeout=timeout, **options)

    def waitCallback(self, *, timeout: int = PATIENCE, **options: Any) -> Any:
        return super().waitCallback(timeout=timeout, **options)


@pytest.fixture
def qtbot(qapp: QApplication, request: pytest.FixtureRequest) -> QtBot:  # noqa: ARG001
    return PatientBot(request)


@pytest.fixture(scope="session")
def theme(qapp: QApplication) -> Theme:
    return Theme(qapp, "light")


@pytest.fixture
def services(tmp_path: Path) -> Iterator[StageServices]:
    result = StageServices(tmp_path, list(ENTRIES))
    yield result
    result.close()


@pytest.fixture
def bridge(qapp: QApplication) -> Iterator[Bridge]:  # noqa: ARG001
    result = Bridge()
    yield result
    result.close()


@pytest.fixture
def window(services: StageServices, bridge: Bridge, theme: Theme, qtbot: QtBot) -> Iterator[MainWindow]:
    stop = listen(services, bridge)
    result = MainWindow(services, bridge, theme)
    qtbot.addWidget(result)
    result.show()
    qtbot.waitUntil(lambda: result.models.is_known)
    yield result
    result.close()
    stop()
    theme.choose("light")


@pytest.fixture
def quick(window: MainWindow, qtbot: QtBot) -> MainWindow:
    """The window with the quick model loaded."""
    return load(window, qtbot, "Quick")


@pytest.fixture
def slow(window: MainWindow, qtbot: QtBot) -> MainWindow:
    return load(window, qtbot, "Slow")


@pytest.fixture
def held(window: MainWindow, services: StageServices, qtbot: QtBot, tmp_path: Path) -> MainWindow:
    """One that says its first words, and no more until `hands.let_go`: no answer ends before a test is at it."""
    services.stage_store.entries.append(entry("Held", str(tmp_path / "gated.gguf")))
    with qtbot.waitSignal(window.models.refreshed):
        window.models.refresh()
    return load(window, qtbot, "Held")


def load(window: MainWindow, qtbot: QtBot, name: str) -> MainWindow:
    found = window.models.named(name)
    assert found
    window.desk.load(found)
    qtbot.waitUntil(lambda: window.desk.is_ready)
    return window
