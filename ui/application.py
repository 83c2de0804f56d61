"""Starts the window over the services, and ends what it started."""

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from ui.asked_to_end import AskedToEnd
from ui.bridge import Bridge
from ui.main_window import MainWindow
from ui.resting_caret import RestingCaret
from ui.theme import Theme

if TYPE_CHECKING:
    from app.services import Services

log = logging.getLogger(__name__)


def run(services: "Services", argv: list[str], asked: threading.Event | None = None, *, takes_up: bool = False) -> int:
    """Returns when the window is closed, or soon after a signal has set `asked`. The services are left to their maker.

    takes_up: once it is seen, what an earlier run has left unfinished goes on.
    """
    application = QApplication(argv)
    ending = AskedToEnd(application, asked) if asked is not None else None
    application.setApplicationName("Slipstream")
    application.setDesktopFileName("slipstream")
    theme = Theme(application, services.settings.theme)
    RestingCaret(application)
    bridge = Bridge()
    stop_listening = listen(services, bridge)
    leave = services.supervisor.attend()
    window = MainWindow(services, bridge, theme)
    window.show()
    if takes_up:
        QTimer.singleShot(0, window, window.take_up)
    try:
        return application.exec()
    finally:
        if ending:
            ending.close()
        leave()
        stop_listening()
        bridge.close()


def listen(services: "Services", bridge: Bridge) -> Callable[[], None]:
    """Let the bridge hear engines, jobs and samples; the function returned ends that."""
    leave = (
        services.supervisor.subscribe(bridge.tell_engine),
        services.jobs.subscribe(bridge.tell_job),
        services.telemetry.subscribe(bridge.tell_sample),
    )

    def stop() -> None:
        for function in leave:
            function()

    return stop
