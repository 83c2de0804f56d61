"""The library as Qt sees it; picker and models page share it. Reads the store on a worker, knows no widget."""

from enum import IntEnum
from functools import partial
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, Qt, Signal

from app.errors import SlipstreamError
from ui.bridge import Bridge
from ui.figures import count, size

if TYPE_CHECKING:
    from app.library.entry import ModelEntry
    from app.library.store import ModelStore

Index = QModelIndex | QPersistentModelIndex
ROOT = QModelIndex()


class ModelRole(IntEnum):
    ENTRY = Qt.ItemDataRole.UserRole + 1
    NOTE = Qt.ItemDataRole.UserRole + 2
    DETAIL = Qt.ItemDataRole.UserRole + 3


class ModelsModel(QAbstractListModel):
    refreshed = Signal()
    refused = Signal(str)

    def __init__(self, store: "ModelStore", bridge: Bridge):
        super().__init__(bridge)
        self._store = store
        self._bridge = bridge
        self._loaded: str | None = None
        self.entries: list[ModelEntry] = []
        self.is_known = False  # the store has been read at least once

    def refresh(self) -> None:
        self._bridge.call(self._store.models, self._show, self._tell)

    def remove(self, entry: "ModelEntry") -> None:
        self._bridge.call(partial(self._store.remove, entry.id), lambda _: self.refresh(), self._tell)

    def mark_loaded(self, model_id: str | None) -> None:
        if model_id != self._loaded:
            self._loaded = model_id
            if self.entries:
                self.dataChanged.emit(self.index(0), self.index(len(self.entries) - 1))

    def find(self, model_id: str | None) -> "ModelEntry | None":
        return next((entry for entry in self.entries if entry.id == model_id), None)

    def named(self, name: str) -> "ModelEntry | None":
        return next((entry for entry in self.entries if entry.name == name), None)

    def rowCount(self, parent: Index = ROOT) -> int:
        return 0 if parent.isValid() else len(self.entries)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        entry = self.entries[index.row()]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return entry.name
            case Qt.ItemDataRole.AccessibleTextRole:
                return f"{entry.name}, {detail(entry)}{', loaded' if entry.id == self._loaded else ''}"
            case ModelRole.ENTRY:
                return entry
            case ModelRole.NOTE:
                return "Loaded" if entry.id == self._loaded else size(entry.bytes)
            case ModelRole.DETAIL:
                return detail(entry)
        return None

    def _show(self, entries: "list[ModelEntry]") -> None:
        self.is_known = True
        if entries != self.entries:
            self.beginResetModel()
            self.entries = entries
            self.endResetModel()
        self.refreshed.emit()

    def _tell(self, error: Exception) -> None:
        text = str(error) if isinstance(error, SlipstreamError) else f"The library could not be read: {error}"
        self.refused.emit(text)


def detail(entry: "ModelEntry") -> str:
    if entry.problem:
        return entry.problem
    parts = [entry.quantization, entry.architecture, f"{count(entry.context)} tokens" if entry.context else ""]
    return "  ·  ".join(part for part in parts if part)
