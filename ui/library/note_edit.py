"""A person's own words on a model, saved when the writing rests."""

from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QFocusEvent
from PySide6.QtWidgets import QPlainTextEdit

SAVE_MS = 600
HEIGHT = 64


class NoteEdit(QPlainTextEdit):
    written = Signal(str, str)  # id of the model, the note

    def __init__(self) -> None:
        super().__init__()
        self._model_id: str | None = None
        self._saved = ""
        self._timer = QTimer(self, interval=SAVE_MS, singleShot=True)
        self.setProperty("kind", "field")
        self.setTabChangesFocus(True)
        self.setFixedHeight(HEIGHT)
        self.setPlaceholderText("A note of your own")
        self.setAccessibleName("Note")
        self.textChanged.connect(self._timer.start)
        self._timer.timeout.connect(self.save)

    def show_note(self, model_id: str, note: str) -> None:
        """Keeps what is being written about the same model."""
        if model_id == self._model_id and self._timer.isActive():
            return
        self.save()
        self._model_id, self._saved = model_id, note
        if note != self.toPlainText():
            self.setPlainText(note)
        self._timer.stop()

    def save(self) -> None:
        self._timer.stop()
        text = self.toPlainText()
        if self._model_id is not None and text.strip() != self._saved.strip():
            self._saved = text
            self.written.emit(self._model_id, text)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.save()
