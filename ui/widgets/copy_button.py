"""Copies a text and says so for a moment."""

from collections.abc import Callable

from PySide6.QtCore import QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QPushButton, QWidget

SAID_MS = 1500


class CopyButton(QPushButton):
    def __init__(
        self,
        text: Callable[[], str],
        name: str = "Copy",
        parent: QWidget | None = None,
        says: str = "Copy",
        kind: str = "small",
    ):
        super().__init__(says, parent)
        self._text = text
        self.setProperty("kind", kind)
        self.setAccessibleName(name)
        self.setToolTip(name)
        self._timer = QTimer(self, interval=SAID_MS, singleShot=True)

        self._timer.timeout.connect(lambda: self.setText(says))
        self.clicked.connect(self._copy)

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self._text())
        self.setText("Copied")
        self._timer.start()
