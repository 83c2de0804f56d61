"""All cards as a table. Knows no widget."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt

from ui.figures import UNKNOWN, size
from ui.lab.rows import Row, rows
from ui.plain import plain_tip

if TYPE_CHECKING:
    from app.lab.card import Card

Index = QModelIndex | QPersistentModelIndex
ROOT = QModelIndex()
SORT_ROLE = Qt.ItemDataRole.UserRole + 1
ROW_ROLE = Qt.ItemDataRole.UserRole + 2

# title, how it is written, what it is sorted by
COLUMNS: tuple[tuple[str, Callable[[Row], str], Callable[[Row], Any]], ...] = (
    ("Model", lambda row: row.name, lambda row: row.name.casefold()),
    ("Type", lambda row: row.quantization, lambda row: row.quantization),
    ("Size", lambda row: size(row.bytes), lambda row: row.bytes),
    ("Bits", lambda row: f"{row.bits:.2f}", lambda row: row.bits),
    ("First\nchoices kept", lambda row: _kept(row), lambda row: row.kld.same_top if row.kld else -1.0),
    ("KL divergence", lambda row: _divergence(row), lambda row: row.kld.mean if row.kld else -1.0),
    (
        "Multiple\nchoice",
        lambda row: UNKNOWN if row.accuracy is None else f"{row.accuracy:.1%}",
        lambda row: -1.0 if row.accuracy is None else row.accuracy,
    ),
    (
        "Tokens/s",
        lambda row: f"{row.speed.decode_per_second:,.1f}" if row.speed else UNKNOWN,
        lambda row: row.speed.decode_per_second if row.speed else -1.0,
    ),
    (
        "Memory",
        lambda row: size(row.speed.memory_bytes) if row.speed else UNKNOWN,
        lambda row: row.speed.memory_bytes if row.speed else -1,
    ),
)
ORIGINAL = "original"
NUMBERS_FROM = 2  # this column and those after it hold numbers


class CardsModel(QAbstractTableModel):
    def __init__(self) -> None:
        super().__init__()
        self.cards: list[Card] = []
        self._rows: list[Row] = []

    def set_cards(self, cards: "list[Card]") -> None:
        if cards != self.cards:
            self.beginResetModel()
            self.cards, self._rows = cards, rows(cards)
            self.endResetModel()

    def rowCount(self, parent: Index = ROOT) -> int:
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = ROOT) -> int:
        return 0 if parent.isValid() else len(COLUMNS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation is not Qt.Orientation.Horizontal or not 0 <= section < len(COLUMNS):
            return None
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(section)
        return COLUMNS[section][0] if role == Qt.ItemDataRole.DisplayRole else None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        row, (_, written, sorted_by) = self._rows[index.row()], COLUMNS[index.column()]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return written(row)
            case Qt.ItemDataRole.ToolTipRole:
                return plain_tip(_tip(row))
            case Qt.ItemDataRole.TextAlignmentRole:
                return _alignment(index.column())
            case int(value) if value == SORT_ROLE:
                return sorted_by(row)
            case int(value) if value == ROW_ROLE:
                return row
        return None


def _kept(row: Row) -> str:
    return f"{row.kld.same_top:.1%}" if row.kld else UNKNOWN


def _divergence(row: Row) -> str:
    if row.kld:
        return f"{row.kld.mean:.4f} ± {row.kld.error:.4f}"
    return UNKNOWN if row.card else ORIGINAL


def _tip(row: Row) -> str:
    where = f"\n{row.card.machine}, {row.card.made[:10]}" if row.card else ""
    return f"{row.name}: {row.sentence}{where}"


def _alignment(column: int) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignRight if column >= NUMBERS_FROM else Qt.AlignmentFlag.AlignLeft
    return side | Qt.AlignmentFlag.AlignVCenter
