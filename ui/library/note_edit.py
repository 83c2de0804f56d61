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
        self._before: str | None = None  # what the library has until it has taken the last writing
        self._timer = QTimer(self, interval=SAVE_MS, singleShot=True)
        self.setProperty("kind", "field")
        self.setTabChangesFocus(True)
        self.setFixedHeight(HEIGHT)
        self.setPlaceholderText("A note of your own")
        self.setAccessibleName("Note")
        self.textChanged.connect(self._timer.start)
        self._timer.timeout.connect(self.save)

    def show_note(self, model_id: str, note: str) -> None:
        """Keeps what is being written about the same model; the library may still tell what was there before."""
        is_same = model_id == self._model_id
        if is_same and (self._timer.isActive() or note.strip() in (self.toPlainText().strip(), self._before)):
            return
        self.save()
        self._model_id, self._saved, self._before = model_id, note, None
        if note != self.toPlainText():
            self.setPlainText(note)
        self._timer.stop()

    def save(self) -> None:
        self._timer.stop()
        text = self.toPlainText()
        if self._model_id is not None and text.strip() != self._saved.strip():
            self._before, self._saved = self._saved.strip(), text
            self.written.emit(self._model_id, text)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.save()
