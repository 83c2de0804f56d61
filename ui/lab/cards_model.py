"""All cards as a table. Knows no widget."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt

from app.lab.card import verdict
from ui.figures import UNKNOWN, size
from ui.plain import plain_tip

if TYPE_CHECKING:
    from app.lab.card import Card

Index = QModelIndex | QPersistentModelIndex
ROOT = QModelIndex()
SORT_ROLE = Qt.ItemDataRole.UserRole + 1
CARD_ROLE = Qt.ItemDataRole.UserRole + 2

# title, how it is written, what it is sorted by
COLUMNS: tuple[tuple[str, Callable[["Card"], str], Callable[["Card"], Any]], ...] = (
    ("Model", lambda card: card.name, lambda card: card.name.casefold()),
    ("Type", lambda card: card.quantization, lambda card: card.quantization),
    ("Size", lambda card: size(card.bytes), lambda card: card.bytes),
    ("Bits", lambda card: f"{card.bits_per_weight:.2f}", lambda card: card.bits_per_weight),
    (
        "First choices kept",
        lambda card: f"{card.kld.same_top:.1%}" if card.kld else UNKNOWN,
        lambda card: card.kld.same_top if card.kld else -1.0,
    ),
    (
        "KL divergence",
        lambda card: f"{card.kld.mean:.4f} ± {card.kld.error:.4f}" if card.kld else UNKNOWN,
        lambda card: card.kld.mean if card.kld else -1.0,
    ),
    ("Tokens/s", lambda card: f"{card.speed.decode_per_second:,.1f}", lambda card: card.speed.decode_per_second),
    ("Memory", lambda card: size(card.speed.memory_bytes), lambda card: card.speed.memory_bytes),
    (
        "Multiple choice",
        lambda card: f"{card.choices.accuracy:.1%}" if card.choices else UNKNOWN,
        lambda card: card.choices.accuracy if card.choices else -1.0,
    ),
)
NUMBERS_FROM = 2  # this column and those after it hold numbers


class CardsModel(QAbstractTableModel):
    def __init__(self) -> None:
        super().__init__()
        self.cards: list[Card] = []

    def set_cards(self, cards: "list[Card]") -> None:
        if cards != self.cards:
            self.beginResetModel()
            self.cards = cards
            self.endResetModel()

    def rowCount(self, parent: Index = ROOT) -> int:
        return 0 if parent.isValid() else len(self.cards)

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
        card, (_, written, sorted_by) = self.cards[index.row()], COLUMNS[index.column()]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return written(card)
            case Qt.ItemDataRole.ToolTipRole:
                return plain_tip(f"{verdict(card)}\n{card.machine}, {card.made[:10]}")
            case Qt.ItemDataRole.TextAlignmentRole:
                return _alignment(index.column())
            case int(value) if value == SORT_ROLE:
                return sorted_by(card)
            case int(value) if value == CARD_ROLE:
                return card
        return None


def _alignment(column: int) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignRight if column >= NUMBERS_FROM else Qt.AlignmentFlag.AlignLeft
    return side | Qt.AlignmentFlag.AlignVCenter
