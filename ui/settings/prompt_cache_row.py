"""How much the prompt cache holds on disk, and the button that empties it."""

from functools import partial
from pathlib import Path

from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from app import prompt_cache_folder
from ui.bridge import Bridge
from ui.figures import size
from ui.widgets.labels import button, label


class PromptCacheRow(QWidget):
    def __init__(self, folder: Path, bridge: Bridge):
        super().__init__()
        self._folder = folder
        self._bridge = bridge
        self._size = label("", "strong")
        self.clear = button("Clear", name="Clear the prompts kept on disk")
        texts = QVBoxLayout()
        texts.setSpacing(0)
        texts.addWidget(self._size)
        texts.addWidget(label(str(folder), "caption", wraps=True))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(24)
        row.addLayout(texts, 1)
        row.addWidget(self.clear)
        self._tell(0)

        self.clear.clicked.connect(self._clear)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._measure()

    def _measure(self) -> None:
        self._bridge.call(partial(prompt_cache_folder.size, self._folder), self._tell)

    def _clear(self) -> None:
        self.clear.setEnabled(False)
        self._bridge.call(partial(prompt_cache_folder.clear, self._folder), lambda _: self._measure())

    def _tell(self, num_bytes: int) -> None:
        self._size.setText(f"{size(num_bytes)} of prompts on disk" if num_bytes else "No prompts on disk")
        self.clear.setEnabled(num_bytes > 0)
