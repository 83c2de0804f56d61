"""The list of conversations as Qt sees it. Knows the history, no widget."""

from datetime import datetime
from enum import IntEnum
from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from app.conversation import ConversationInfo
from app.history import History
from ui.plain import plain_tip

Index = QModelIndex | QPersistentModelIndex
ROOT = QModelIndex()


class ConversationRole(IntEnum):
    ID = Qt.ItemDataRole.UserRole + 1
    WHEN = Qt.ItemDataRole.UserRole + 2


class ConversationModel(QAbstractListModel):
    def __init__(self, history: History, parent: QObject | None = None):
        super().__init__(parent)
        self._history = history
        self._search = ""
        self._hidden: set[int] = set()
        self._rows: list[ConversationInfo] = []
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
        rows = [row for row in self._history.conversations(self._search) if row.id not in self._hidden]
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
        self._history.rename(self._rows[index.row()].id, title)
        self.refresh()
        return True

    def flags(self, index: Index) -> Qt.ItemFlag:
        return super().flags(index) | (Qt.ItemFlag.ItemIsEditable if index.isValid() else Qt.ItemFlag(0))


def when(timestamp: float, now: datetime) -> str:
    """The time today, the weekday this week, else the date."""
    then = datetime.fromtimestamp(timestamp)
    days = (now.date() - then.date()).days
    if days <= 0:
        return f"{then:%H:%M}"
    return f"{then:%a}" if days < 7 else f"{then:%d %b}"
