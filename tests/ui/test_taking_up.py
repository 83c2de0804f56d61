"""What an earlier run has left unfinished goes on once the window is seen, and holds it up nowhere."""

import threading

import pytest
from pytestqt.qtbot import QtBot

from app.errors import SettingsError
from tests.ui.stage import StageServices
from ui.main_window import MainWindow


def test_it_is_taken_up_on_a_worker_and_told(
    window: MainWindow, services: StageServices, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []

    def recover() -> None:
        threads.append(threading.current_thread())
        services.notices.append("An install was given up.")

    monkeypatch.setattr(services, "recover_installs", recover)
    window.take_up()
    qtbot.waitUntil(lambda: "An install was given up." in [banner.text for banner in window.banners.banners()])
    assert threads
    assert threads[0] is not threading.main_thread()


def test_what_keeps_it_from_going_on_is_told(
    window: MainWindow, services: StageServices, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def recover() -> None:
        raise SettingsError("The disk is full.")

    monkeypatch.setattr(services, "recover_installs", recover)
    window.take_up()
    qtbot.waitUntil(lambda: "The disk is full." in [banner.text for banner in window.banners.banners()])
