"""What has arrived, newest first, as an item model: hundreds of rows cost no more than what is seen of them."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, Qt

Index = QModelIndex | QPersistentModelIndex
ROOT = QModelIndex()


@dataclass(frozen=True, slots=True)
class Finished:
    """model_id: in the library; None for what has become no model there."""

    job_id: int
    title: str
    detail: str
    at: datetime
    model_id: str | None = None


class FinishedRole(IntEnum):
    FINISHED = Qt.ItemDataRole.UserRole + 1
    NOTE = Qt.ItemDataRole.UserRole + 2
    DETAIL = Qt.ItemDataRole.UserRole + 3


class FinishedModel(QAbstractListModel):
    def __init__(self) -> None:
        super().__init__()
        self.rows: list[Finished] = []

    def add(self, finished: Finished) -> None:
        self.beginInsertRows(ROOT, 0, 0)
        self.rows.insert(0, finished)
        self.endInsertRows()

    def clear(self) -> None:
        self.beginResetModel()
        self.rows.clear()
        self.endResetModel()

    def rowCount(self, parent: Index = ROOT) -> int:
        return 0 if parent.isValid() else len(self.rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        finished = self.rows[index.row()]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return finished.title
            case Qt.ItemDataRole.AccessibleTextRole:
                return f"{finished.title}, {finished.detail}"
            case FinishedRole.FINISHED:
                return finished
            case FinishedRole.NOTE:
                return f"{finished.at:%H:%M}"
            case FinishedRole.DETAIL:
                return finished.detail
        return None
