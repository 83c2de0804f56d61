"""Has the machine sampled while the window can be seen, and only then."""

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject
from PySide6.QtWidgets import QWidget

from app.telemetry import Telemetry

TELLING = (QEvent.Type.Show, QEvent.Type.Hide, QEvent.Type.WindowStateChange)


class Onlooker(QObject):
    def __init__(self, window: QWidget, telemetry: Telemetry):
        super().__init__(window)
        self._window = window
        self._telemetry = telemetry
        self._leave: Callable[[], None] | None = None
        window.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self._window and event.type() in TELLING:
            self._look(self._window.isVisible() and not self._window.isMinimized())
        return False

    def _look(self, is_seen: bool) -> None:
        if is_seen and self._leave is None:
            self._leave = self._telemetry.watch()
        elif not is_seen and self._leave:
            self._leave()
            self._leave = None
