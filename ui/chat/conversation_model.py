"""The list of conversations as Qt sees it. Knows the history, no widget."""

from datetime import datetime
from enum import IntEnum
from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt, Signal

from app.conversation import ConversationInfo
from app.history import FAULTS, History, why
from ui.plain import plain_tip

Index = QModelIndex | QPersistentModelIndex
ROOT = QModelIndex()


class ConversationRole(IntEnum):
    ID = Qt.ItemDataRole.UserRole + 1
    WHEN = Qt.ItemDataRole.UserRole + 2


class ConversationModel(QAbstractListModel):
    renamed = Signal()
    refused = Signal(str)  # a sentence: the list could not be read, or a title not be written

    def __init__(self, history: History, parent: QObject | None = None):
        super().__init__(parent)
        self._history = history
        self._search = ""
        self._hidden: set[int] = set()
        self._rows: list[ConversationInfo] = []
        self.problem: str | None = None  # for who comes too late for the signal
        self.refresh()

    def search(self, text: str) -> None:
        self._search = text
        self.refresh()

    def hide(self, conversation: int) -> None:
        self._hidden.add(conversation)
        self.refresh()

    def unhide(self, conversation: int) -> None:
        self._hidden.discard(conversation)
        self.refresh()

    def refresh(self) -> None:
        try:
            found = self._history.conversations(self._search)
        except FAULTS as error:
            self._refuse(f"The list of chats could not be read: {why(error)}.")
            return
        self.problem = None
        rows = [row for row in found if row.id not in self._hidden]
        if rows == self._rows:
            return
        self.beginResetModel()
        self._rows = rows
        self.endResetModel()

    def index_of(self, conversation: int | None) -> QModelIndex:
        for number, row in enumerate(self._rows):
            if row.id == conversation:
                return self.index(number)
        return QModelIndex()

    def rowCount(self, parent: Index = ROOT) -> int:
        return 0 if parent.isValid() else len(self._rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        row = self._rows[index.row()]
        match role:
            case Qt.ItemDataRole.DisplayRole | Qt.ItemDataRole.EditRole | Qt.ItemDataRole.AccessibleTextRole:
                return row.title or "New chat"
            case Qt.ItemDataRole.ToolTipRole:
                return plain_tip(f"{row.title}\n{datetime.fromtimestamp(row.updated):%d %B %Y, %H:%M}")
            case ConversationRole.ID:
                return row.id
            case ConversationRole.WHEN:
                return when(row.updated, datetime.now())
        return None

    def setData(self, index: Index, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        title = str(value).strip()
        if role != Qt.ItemDataRole.EditRole or not index.isValid() or not title:
            return False
        try:
            self._history.rename(self._rows[index.row()].id, title)
        except FAULTS as error:
            self._refuse(f"The chat could not be renamed: {why(error)}.")
            return False
        self.refresh()
        self.renamed.emit()
        return True

    def flags(self, index: Index) -> Qt.ItemFlag:
        return super().flags(index) | (Qt.ItemFlag.ItemIsEditable if index.isValid() else Qt.ItemFlag(0))

    def _refuse(self, sentence: str) -> None:
        self.problem = sentence
        self.refused.emit(sentence)


def when(timestamp: float, now: datetime) -> str:
    """The time today, the weekday this week, else the date."""
    then = datetime.fromtimestamp(timestamp)
    days = (now.date() - then.date()).days
    if days <= 0:
        return f"{then:%H:%M}"
    return f"{then:%a}" if days < 7 else f"{then:%d %b}"
