"""The cards of all models as one picture, to be compared and taken along."""

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QFileDialog, QFrame, QHBoxLayout, QVBoxLayout

from ui.bridge import Bridge
from ui.lab.quality_plot import QualityPlot
from ui.lab.saving import save_cards
from ui.theme import Theme
from ui.widgets.labels import button, label

if TYPE_CHECKING:
    from app.lab.card import Card
    from app.services import Services

EMPTY = "No model has been measured yet. Choose one and press “Measure this model”."


class QualityView(QFrame):
    def __init__(self, services: "Services", bridge: Bridge, theme: Theme):
        super().__init__()
        self._services = services
        self._bridge = bridge
        self._cards: list[Card] = []
        self.setProperty("kind", "card")
        self.plot = QualityPlot(theme)
        self._empty = label(EMPTY, "muted", wraps=True)
        self._problem = label("", "problem", wraps=True)
        self.export = button("Export…")
        head = QHBoxLayout()
        head.addWidget(label("Quality against size", "section"))
        head.addStretch(1)
        head.addWidget(self.export)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 24, 24, 24)
        layout.setSpacing(16)
        layout.addLayout(head)
        layout.addWidget(self._problem)
        layout.addWidget(self._empty)
        layout.addWidget(self.plot, 1)
        layout.addStretch(0)
        self._problem.hide()

        self.export.clicked.connect(self._export)

    def refresh(self) -> None:
        self._bridge.call(self._services.lab.cards.cards, self._show, lambda _: None)

    def save(self, path: Path) -> None:
        """A picture, a table for a spreadsheet or one in Markdown, by the name's end. Raises OSError."""
        save_cards(path, self._cards, self.plot)

    def _show(self, cards: "list[Card]") -> None:
        self._cards = cards
        self.plot.set_cards(cards)
        self._empty.setVisible(not cards)
        self.plot.setVisible(bool(cards))
        self.export.setEnabled(bool(cards))

    def _export(self) -> None:
        kinds = "Picture (*.png);;Spreadsheet (*.csv);;Markdown (*.md)"
        name, _ = QFileDialog.getSaveFileName(self, "Export the cards", "models.png", kinds)
        if not name:
            return
        try:
            self.save(Path(name))
            self._problem.hide()
        except OSError as error:
            self._problem.setText(f"That could not be saved: {error}.")
            self._problem.show()
