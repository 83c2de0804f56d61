"""The models that a search and a filter leave, in the order that a person wants. Arranged in Python at once:
a QSortFilterProxyModel would call back for every comparison, and 5,000 models would stutter."""

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, Qt

from ui.library.models_model import ModelsModel

if TYPE_CHECKING:
    from app.library.entry import ModelEntry

Index = QModelIndex | QPersistentModelIndex
ROOT = QModelIndex()
ALL, FAVOURITES = "all", "favourites"  # or the value of an Origin


class Order(StrEnum):
    NAME = "Name"
    SIZE = "Size"
    ADDED = "Newest"


class ShelfModel(QAbstractListModel):
    def __init__(self, models: ModelsModel):
        super().__init__(models)
        self._models = models
        self._words: list[str] = []
        self._only = ALL
        self._order = Order.NAME
        self._haystacks: dict[int, str] = {}  # by id() of the entries, which live as long as the list
        self.entries: list[ModelEntry] = []
        models.modelReset.connect(self._take)
        models.dataChanged.connect(self._repaint)
        self._take()

    def search(self, text: str) -> None:
        """Models in which every word occurs: name, id, architecture, quantization, note."""
        self._words = text.casefold().split()
        self._arrange()

    def show_only(self, what: str) -> None:
        self._only = what
        self._arrange()

    def sort_by(self, order: Order) -> None:
        self._order = order
        self._arrange()

    def row_of(self, model_id: str) -> int:
        return next((row for row, entry in enumerate(self.entries) if entry.id == model_id), -1)

    def rowCount(self, parent: Index = ROOT) -> int:
        return 0 if parent.isValid() else len(self.entries)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        return self._models.value(self.entries[index.row()], role) if index.isValid() else None

    def _take(self) -> None:
        self._haystacks = {id(entry): haystack(entry) for entry in self._models.entries}
        self._arrange()

    def _arrange(self) -> None:
        wanted = [entry for entry in self._models.entries if self._is_wanted(entry)]
        match self._order:
            case Order.NAME:
                wanted.sort(key=lambda entry: (entry.name.casefold(), entry.bytes))
            case Order.SIZE:
                wanted.sort(key=lambda entry: -entry.bytes)
            case Order.ADDED:
                wanted.sort(key=lambda entry: -(entry.added.timestamp() if entry.added else 0.0))
        if wanted != self.entries:
            self.beginResetModel()
            self.entries = wanted
            self.endResetModel()

    def _is_wanted(self, entry: "ModelEntry") -> bool:
        if self._only == FAVOURITES and not entry.is_favourite:
            return False
        if self._only not in (ALL, FAVOURITES, entry.origin.value):
            return False
        text = self._haystacks[id(entry)]
        return all(word in text for word in self._words)

    def _repaint(self) -> None:
        if self.entries:
            self.dataChanged.emit(self.index(0), self.index(len(self.entries) - 1))


def haystack(entry: "ModelEntry") -> str:
    words = (entry.full_name, entry.id, entry.architecture, entry.kind, entry.origin.label, entry.note)
    return " ".join(words).casefold()
