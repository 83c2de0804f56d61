"""The caret stands still after a while without a key, as on other desktops: each blink wakes the processor to paint."""

from PySide6.QtCore import QEvent, QObject, QTimer
from PySide6.QtWidgets import QApplication, QWidget

REST_MS = 10_000
WAKING = (QEvent.Type.KeyPress, QEvent.Type.MouseButtonPress, QEvent.Type.InputMethod)


class RestingCaret(QObject):
    """Looks at the events of the widget that has the focus, and of no other."""

    def __init__(self, application: QApplication):
        super().__init__(application)
        self._application = application
        self._timer = QTimer(self, interval=REST_MS, singleShot=True)
        self._timer.timeout.connect(self._rest)
        self._flash_ms = application.cursorFlashTime()
        application.focusChanged.connect(self._follow)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: ARG002
        if event.type() in WAKING:
            self._wake()
        return False

    def _follow(self, before: QWidget | None, now: QWidget | None) -> None:
        if before:
            before.removeEventFilter(self)
        if now:
            now.installEventFilter(self)
            self._wake()

    def _wake(self) -> None:
        if self._application.cursorFlashTime() != self._flash_ms:
            self._application.setCursorFlashTime(self._flash_ms)
        self._timer.start()

    def _rest(self) -> None:
        self._application.setCursorFlashTime(0)
