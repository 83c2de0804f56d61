"""Starts the window over the services, and ends what it started."""

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from ui.bridge import Bridge
from ui.main_window import MainWindow
from ui.theme import Theme

if TYPE_CHECKING:
    from app.services import Services

SIGNAL_MS = 300

log = logging.getLogger(__name__)


def run(services: "Services", argv: list[str], asked: threading.Event | None = None, *, takes_up: bool = False) -> int:
    """Returns when the window is closed, or soon after `asked` is set. The services are left to whoever made them.

    takes_up: once it is seen, what an earlier run has left unfinished goes on.
    """
    application = QApplication(argv)
    if asked is not None:
        _close_when_asked(application, asked)
    application.setApplicationName("Slipstream")
    application.setDesktopFileName("slipstream")
    theme = Theme(application, services.settings.theme)
    bridge = Bridge()
    stop_listening = listen(services, bridge)
    leave = services.supervisor.attend()
    window = MainWindow(services, bridge, theme)
    services.telemetry.start()
    window.show()
    if takes_up:
        QTimer.singleShot(0, window, window.take_up)
    try:
        return application.exec()
    finally:
        leave()
        stop_listening()
        bridge.close()


def listen(services: "Services", bridge: Bridge) -> Callable[[], None]:
    """Let the bridge hear engines, jobs and memory; the function returned ends that."""
    leave = (
        services.supervisor.subscribe(bridge.tell_engine),
        services.jobs.subscribe(bridge.tell_job),
        services.subscribe_memory(bridge.tell_memory),
    )

    def stop() -> None:
        for function in leave:
            function()

    return stop


def _close_when_asked(application: QApplication, asked: threading.Event) -> None:
    """Python sees a signal only when it runs: the timer gives it a chance, and acts once the loop does."""
    timer = QTimer(application, interval=SIGNAL_MS)
    timer.timeout.connect(lambda: application.closeAllWindows() if asked.is_set() else None)
    timer.start()
