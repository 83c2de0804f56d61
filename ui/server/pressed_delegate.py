"""A cell that is pressed like a button: in the accent's color, or in that of what ends something."""

from PySide6.QtCore import QModelIndex, QObject, QPersistentModelIndex
from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import QStyledItemDelegate, QStyleOptionViewItem

from ui.theme import Theme


class PressedDelegate(QStyledItemDelegate):
    def __init__(self, theme: Theme, parent: QObject, *, ends: bool):
        """ends: whether what is pressed ends something."""
        super().__init__(parent)
        self._theme = theme
        self._ends = ends

    def initStyleOption(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> None:
        super().initStyleOption(option, index)
        palette = self._theme.palette
        color = QColor(palette.error_text if self._ends else palette.accent_text)
        option.font.setBold(self._ends)
        for role in (QPalette.ColorRole.Text, QPalette.ColorRole.HighlightedText):
            option.palette.setColor(role, color)
