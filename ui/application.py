"""Starts the window over the services, and ends what it started."""

import logging
import threading
from collections.abc import Callable, Sequence
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
    from ui.one_window import OneWindow

log = logging.getLogger(__name__)


def run(
    services: "Services",
    argv: list[str],
    asked: threading.Event | None = None,
    *,
    takes_up: bool = False,
    one: "OneWindow | None" = None,
    files: Sequence[str] = (),
) -> int:
    """Returns when the window is closed, or soon after a signal has set `asked`. The services are left to their maker.

    takes_up: once it is seen, what an earlier run has left unfinished goes on. one: later starts are heard by it.
    files: to look at first.
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
    if asked is not None:
        window.closing.is_silent = asked.is_set
    ear = one.listen() if one else None
    if ear:
        ear.asked.connect(window.open_files)
    window.show()
    if files:
        QTimer.singleShot(0, window, lambda: window.open_files(list(files)))
    if takes_up:
        QTimer.singleShot(0, window, window.take_up)
    try:
        return application.exec()
    finally:
        if ear:
            ear.close()
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
