"""Something else that could be chosen: what it gives, what it costs, and the button that chooses it."""

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from app.planner.plan import Alternative
from ui.widgets.labels import button, label


class OtherRow(QWidget):
    chosen = Signal(object)  # Alternative

    def __init__(self, other: Alternative):
        super().__init__()
        self.use = button("Use", name=f"Use {other.name}: {other.gain}; costs {other.price}")
        texts = QVBoxLayout()
        texts.setSpacing(0)
        texts.addWidget(label(f"{other.name[0].upper()}{other.name[1:]}: {other.gain}", "strong", wraps=True))
        texts.addWidget(label(f"Costs {other.price}", "caption", wraps=True))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(16)
        row.addLayout(texts, 1)
        row.addWidget(self.use)

        self.use.clicked.connect(lambda: self.chosen.emit(other))
