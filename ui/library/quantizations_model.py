"""The types that a model can be quantized to, as a list: what each costs on the disk and how good it is."""

from enum import IntEnum
from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from backends.formats.quantizations import COPY, DEFAULT, QUANTIZATIONS, Quantization
from ui.figures import size

Index = QModelIndex | QPersistentModelIndex
ROOT = QModelIndex()
SUGGESTED = (DEFAULT, "Q3_K_M")
LARGEST = 16.0  # bits per weight; what is not smaller is a source


class TypeRole(IntEnum):
    QUANTIZATION = Qt.ItemDataRole.UserRole + 1
    NOTE = Qt.ItemDataRole.UserRole + 2
    DETAIL = Qt.ItemDataRole.UserRole + 3


OFFERED = tuple(row for row in QUANTIZATIONS.values() if row.name != COPY and row.bits_per_weight < LARGEST)


def smaller_than(type_: str) -> list[Quantization]:
    """All but the type itself where nothing is smaller."""
    most = QUANTIZATIONS[type_].bits_per_weight if type_ in QUANTIZATIONS else LARGEST
    others = [row for row in OFFERED if row.name != type_]
    return [row for row in others if row.bits_per_weight < most] or others


class QuantizationsModel(QAbstractListModel):
    def __init__(self, parent: QObject | None = None):
        super().__init__(parent)
        self.rows = list(OFFERED)
        self._num_parameters = 0
        self._sizes: dict[str, int] = {}  # of types whose plan is known

    def show_model(self, num_parameters: int, type_: str = "") -> None:
        """type_: what the model is already; then only what is smaller is offered."""
        self.beginResetModel()
        self.rows = smaller_than(type_)
        self._num_parameters = num_parameters
        self._sizes.clear()
        self.endResetModel()

    def show_size(self, type_: str, num_bytes: int) -> None:
        """What a plan says, in the place of the estimate."""
        self._sizes[type_] = num_bytes
        row = self.row_of(type_)
        self._tell(row, row)

    def suggested(self) -> int:
        """The row that suits most people; for a model that is that already, the next of them."""
        names = [row.name for row in self.rows]
        return next((names.index(name) for name in SUGGESTED if name in names), 0)

    def about(self, row: Quantization) -> str:
        return f"{self._note(row)}  ·  {_detail(row)}"

    def row_of(self, type_: str) -> int:
        return next(number for number, row in enumerate(self.rows) if row.name == type_)

    def rowCount(self, parent: Index = ROOT) -> int:
        return 0 if parent.isValid() else len(self.rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        row = self.rows[index.row()]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return row.name
            case Qt.ItemDataRole.AccessibleTextRole:
                return f"{row.name}, {self._size(row)}, {row.quality}, {self.data(index, TypeRole.DETAIL)}"
            case TypeRole.QUANTIZATION:
                return row
            case TypeRole.NOTE:
                return self._note(row)
            case TypeRole.DETAIL:
                return _detail(row)
        return None

    def _note(self, row: Quantization) -> str:
        return f"{row.quality}  ·  {self._size(row)}"

    def _size(self, row: Quantization) -> str:
        known = self._sizes.get(row.name)
        return size(known) if known is not None else f"≈ {size(round(self._num_parameters * row.bits_per_weight / 8))}"

    def _tell(self, first: int, last: int) -> None:
        self.dataChanged.emit(self.index(first), self.index(last))


def _detail(row: Quantization) -> str:
    return f"{row.description} Needs an importance matrix." if row.needs_imatrix else row.description
