"""A page that scrolls: one column of limited width under a title."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from ui.widgets.labels import label

WIDTH, WIDE = 776, 1104  # of text and fields; of tables


class PageColumn(QScrollArea):
    def __init__(self, title: str, lead: str, width: int = WIDTH):
        super().__init__()
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        column = QWidget()
        column.setMaximumWidth(width)
        self.rows = QVBoxLayout(column)
        self.rows.setContentsMargins(32, 24, 32, 24)
        self.rows.setSpacing(16)
        self.title = label(title, "title", wraps=True)
        self.rows.addWidget(self.title)
        self.rows.addWidget(label(lead, "muted", wraps=True))
        holder = QWidget()
        holder.setProperty("kind", "transparent")
        row = QHBoxLayout(holder)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(column, 1000)
        row.addStretch(1)
        self.setWidget(holder)
