"""Closes the window when a signal has asked the process to end. Costs nothing until then."""

import signal
import socket
import threading

from PySide6.QtCore import QObject, QSocketNotifier, QTimer
from PySide6.QtWidgets import QApplication


class AskedToEnd(QObject):
    """Python sees a signal only when it runs: a byte of the signal's own wakes the event loop, which runs Python.

    For the main thread, from the making to `close`.
    """

    def __init__(self, application: QApplication, asked: threading.Event):
        super().__init__(application)
        self._application = application
        self._asked = asked
        self._ends = socket.socketpair()
        for end in self._ends:
            end.setblocking(False)
        self._before = signal.set_wakeup_fd(self._ends[1].fileno(), warn_on_full_buffer=False)
        self._notifier = QSocketNotifier(self._ends[0].fileno(), QSocketNotifier.Type.Read, self)
        self._notifier.activated.connect(self._look)
        QTimer.singleShot(0, self, self._close_if_asked)  # once the loop runs; from then on it is heeded

    def close(self) -> None:
        self._notifier.setEnabled(False)
        signal.set_wakeup_fd(self._before)
        for end in self._ends:
            end.close()

    def _look(self) -> None:
        self._ends[0].recv(64)
        self._close_if_asked()

    def _close_if_asked(self) -> None:
        if self._asked.is_set():
            self._application.closeAllWindows()
