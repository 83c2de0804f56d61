"""What a person does with a whole conversation from the list: pin, duplicate, copy."""

from collections.abc import Callable

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QGuiApplication

from app.exchange.markdown import to_markdown
from app.history import FAULTS, History, why


class ConversationActions(QObject):
    changed = Signal()
    refused = Signal(str)  # a sentence: it was not done

    def __init__(self, history: History, parent: QObject):
        super().__init__(parent)
        self._history = history

    def pin(self, conversation: int, is_pinned: bool) -> None:
        self._do(lambda: self._history.pin(conversation, is_pinned), "pinned" if is_pinned else "unpinned")

    def duplicate(self, conversation: int) -> None:
        self._do(lambda: self._history.duplicate(conversation), "duplicated")

    def copy_markdown(self, conversation: int) -> None:
        """What is shown of it, onto the clipboard."""
        board = QGuiApplication.clipboard()
        self._do(lambda: board.setText(to_markdown(self._history.chat(conversation))), "copied")

    def _do(self, action: Callable[[], object], done: str) -> None:
        try:
            action()
        except FAULTS as error:
            self.refused.emit(f"The chat could not be {done}: {why(error)}.")
            return
        self.changed.emit()
