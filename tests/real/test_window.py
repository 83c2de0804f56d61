"""The window finds SmolLM2 in a folder, loads it and asks it."""

import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.paths import Paths
from app.services import Services
from tests.real.test_main_roads import CAPITAL
from ui.application import listen
from ui.bridge import Bridge
from ui.main_window import MainWindow
from ui.theme import Theme

LIMIT_MS = 60_000


@pytest.fixture
def window(tmp_path: Path, own_copy: Path, qapp: QApplication, qtbot: QtBot) -> Iterator[MainWindow]:
    services, bridge = Services(Paths.below(tmp_path / "home")), Bridge()
    services.change_settings(lambda settings: replace(settings, temperature=0.0, context=2048, serve=False))
    services.add_folder(own_copy.parent)
    stop = listen(services, bridge)
    window = MainWindow(services, bridge, Theme(qapp, "light"))
    qtbot.addWidget(window)
    window.show()
    yield window
    window.close()
    stop()
    bridge.close()
    services.close()


def test_a_person_loads_it_and_asks(window: MainWindow, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: window.models.is_known and bool(window.models.entries), timeout=LIMIT_MS)
    (entry,) = window.models.entries
    window.desk.load(entry)
    qtbot.waitUntil(lambda: window.desk.is_ready, timeout=LIMIT_MS)
    session = window.chat.session
    session.ask(CAPITAL)
    qtbot.waitUntil(lambda: len(session.turns) > 1 and not session.is_busy, timeout=LIMIT_MS)
    assert "Paris" in session.turns[-1].text
