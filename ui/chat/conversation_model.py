"""The list of conversations as Qt sees it. Knows the history, no widget."""

from collections.abc import Set
from dataclasses import replace
from datetime import datetime
from enum import IntEnum
from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt, Signal

from app.conversation import ConversationInfo, Found
from app.history import FAULTS, History, why
from app.text_search import Excerpt
from ui.plain import plain_tip

Index = QModelIndex | QPersistentModelIndex
ROOT = QModelIndex()


class ConversationRole(IntEnum):
    ID = Qt.ItemDataRole.UserRole + 1
    WHEN = Qt.ItemDataRole.UserRole + 2
    SECTION = Qt.ItemDataRole.UserRole + 3  # the name of the group that begins with this row
    EXCERPT = Qt.ItemDataRole.UserRole + 4  # of the first turn in which it was found
    IS_UNREAD = Qt.ItemDataRole.UserRole + 5
    IS_PINNED = Qt.ItemDataRole.UserRole + 6


class ConversationModel(QAbstractListModel):
    renamed = Signal()
    refused = Signal(str)  # a sentence: the list could not be read, or a title not be written

    def __init__(self, history: History, parent: QObject | None = None):
        super().__init__(parent)
        self._history = history
        self._search = ""
        self._hidden: set[int] = set()
        self._rows: list[Found] = []
        self._running: Set[int] = frozenset()
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
            found = self._history.find(self._search)
        except FAULTS as error:
            self._refuse(f"The list of chats could not be read: {why(error)}.")
            return
        self.problem = None
        rows = [row for row in found if row.info.id not in self._hidden]
        rows.sort(key=lambda row: not row.info.is_pinned)
        if rows == self._rows:
            return
        self.beginResetModel()
        self._rows = rows
        self.endResetModel()

    def index_of(self, conversation: int | None) -> QModelIndex:
        for number, row in enumerate(self._rows):
            if row.info.id == conversation:
                return self.index(number)
        return QModelIndex()

    def set_running(self, conversations: Set[int]) -> None:
        """Those in which an answer is being written."""
        changed, self._running = conversations ^ self._running, conversations
        for conversation in changed:
            self._tell_changed(self.index_of(conversation))

    def mark_read(self, conversation: int | None) -> None:
        index = self.index_of(conversation)
        if not index.data(ConversationRole.IS_UNREAD):
            return
        row = self._rows[index.row()]
        try:
            self._history.mark(row.info.id, False)
        except FAULTS as error:
            self._refuse(f"The chat could not be marked as read: {why(error)}.")
            return
        self._rows[index.row()] = replace(row, info=replace(row.info, is_unread=False))
        self._tell_changed(index)

    def rowCount(self, parent: Index = ROOT) -> int:
        return 0 if parent.isValid() else len(self._rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        row = self._rows[index.row()].info
        match role:
            case Qt.ItemDataRole.DisplayRole | Qt.ItemDataRole.EditRole:
                return row.title or "New chat"
            case Qt.ItemDataRole.AccessibleTextRole:
                return ", ".join([row.title or "New chat", *self._marks(row)])
            case Qt.ItemDataRole.ToolTipRole:
                return plain_tip(f"{row.title}\n{datetime.fromtimestamp(row.updated):%d %B %Y, %H:%M}")
            case ConversationRole.ID:
                return row.id
            case ConversationRole.WHEN:
                return "Writing…" if row.id in self._running else when(row.updated, datetime.now())
            case ConversationRole.SECTION:
                return self._section(index.row())
            case ConversationRole.EXCERPT:
                return self._excerpt(self._rows[index.row()])
            case ConversationRole.IS_UNREAD:
                return row.is_unread
            case ConversationRole.IS_PINNED:
                return row.is_pinned
        return None

    def setData(self, index: Index, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        title = str(value).strip()
        if role != Qt.ItemDataRole.EditRole or not index.isValid() or not title:
            return False
        try:
            self._history.rename(self._rows[index.row()].info.id, title)
        except FAULTS as error:
            self._refuse(f"The chat could not be renamed: {why(error)}.")
            return False
        self.refresh()
        self.renamed.emit()
        return True

    def flags(self, index: Index) -> Qt.ItemFlag:
        return super().flags(index) | (Qt.ItemFlag.ItemIsEditable if index.isValid() else Qt.ItemFlag(0))

    def _marks(self, row: ConversationInfo) -> list[str]:
        marks = (("pinned", row.is_pinned), ("writing", row.id in self._running), ("unread", row.is_unread))
        return [word for word, is_so in marks if is_so]

    def _section(self, number: int) -> str | None:
        """What is found stands in one list."""
        if self._search.strip():
            return None
        now = datetime.now()
        name = section(self._rows[number].info, now)
        return name if number == 0 or section(self._rows[number - 1].info, now) != name else None

    def _excerpt(self, row: Found) -> Excerpt | None:
        try:
            return self._history.excerpt(row.turns[0], self._search) if row.turns else None
        except FAULTS:
            return None  # it is gone since it was found: the next refresh knows

    def _tell_changed(self, index: QModelIndex) -> None:
        if index.isValid():
            self.dataChanged.emit(index, index)

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


def section(info: ConversationInfo, now: datetime) -> str:
    """The group in which it stands. A clock that was set back makes no other day than today."""
    if info.is_pinned:
        return "Pinned"
    days = (now.date() - datetime.fromtimestamp(info.updated).date()).days
    if days <= 1:
        return "Yesterday" if days == 1 else "Today"
    return "Previous 7 days" if days <= 7 else "Older"
