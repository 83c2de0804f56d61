"""Lays widgets out like words: as many in a row as fit."""

from PySide6.QtCore import QPoint, QRect, QSize, Qt
from PySide6.QtWidgets import QLayout, QLayoutItem, QWidget


class FlowLayout(QLayout):
    def __init__(self, parent: QWidget, gap: int):
        super().__init__(parent)
        self._gap = gap
        self._items: list[QLayoutItem] = []
        self.setContentsMargins(0, 0, 0, 0)

    def addItem(self, item: QLayoutItem) -> None:
        self._items.append(item)

    def count(self) -> int:
        return len(self._items)

    def itemAt(self, index: int) -> QLayoutItem | None:
        return self._items[index] if 0 <= index < len(self._items) else None

    def takeAt(self, index: int) -> QLayoutItem | None:
        return self._items.pop(index) if 0 <= index < len(self._items) else None

    def expandingDirections(self) -> Qt.Orientation:
        return Qt.Orientation(0)

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        return self._arrange(QRect(0, 0, width, 0), is_dry=True)

    def setGeometry(self, rect: QRect) -> None:
        super().setGeometry(rect)
        self._arrange(rect, is_dry=False)

    def sizeHint(self) -> QSize:
        return self.minimumSize()

    def minimumSize(self) -> QSize:
        size = QSize()
        for item in self._items:
            size = size.expandedTo(item.minimumSize())
        return size

    def _arrange(self, rect: QRect, is_dry: bool) -> int:
        """The height that is needed. Lower widgets stand in the middle of their row."""
        x, y, height = rect.x(), rect.y(), 0
        row: list[tuple[QLayoutItem, QRect]] = []
        for item in self._items:
            if item.isEmpty():  # hidden
                continue
            size = item.sizeHint()
            if row and x + size.width() > rect.right() + 1:
                _place(row, height, is_dry)
                x, y, height, row = rect.x(), y + height + self._gap, 0, []
            row.append((item, QRect(QPoint(x, y), size)))
            x, height = x + size.width() + self._gap, max(height, size.height())
        _place(row, height, is_dry)
        return y + height - rect.y()


def _place(row: list[tuple[QLayoutItem, QRect]], height: int, is_dry: bool) -> None:
    for item, rect in () if is_dry else row:
        item.setGeometry(rect.translated(0, (height - rect.height()) // 2))
