"""What models cost and gain here. Quality: all cards, the picture above, the table below, and both for other programs.
Speed: the view of the benchmark."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QModelIndex, QSortFilterProxyModel, Qt, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QStackedWidget,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from app.jobs.job import Job, JobState
from app.lab.card import Card, verdict
from ui.bench.speed_view import SpeedView
from ui.bridge import Bridge
from ui.lab.cards_model import ROW_ROLE, SORT_ROLE, CardsModel
from ui.lab.points import Measure
from ui.lab.quality_plot import QualityPlot
from ui.lab.saving import save_cards
from ui.library.models_model import ModelsModel
from ui.theme import Theme
from ui.widgets.choice_bar import ChoiceBar
from ui.widgets.labels import button, label
from ui.widgets.lines_header import LinesHeader

if TYPE_CHECKING:
    from app.services import Services

LEADS = (
    "What each file's quantization costs in quality, and what it gains in size and speed on this machine.",
    "How fast a model reads and answers here, over time and builds, and which options suit it.",
)
QUALITY, SPEED = range(2)
HINT = "Point at a model, or go through them with the arrow keys, to see its values."
FORMATS = {"PNG…": ".png", "CSV…": ".csv", "Markdown…": ".md"}


class LabPage(QWidget):
    refused = Signal(str)

    def __init__(self, services: "Services", bridge: Bridge, models: ModelsModel, theme: Theme):
        super().__init__()
        self._services = services
        self._bridge = bridge
        self.model = CardsModel()
        self._proxy = QSortFilterProxyModel(self)
        self._proxy.setSourceModel(self.model)
        self._proxy.setSortRole(SORT_ROLE)
        self.plot = QualityPlot(theme)
        self.table = QTableView()
        self.measure = QComboBox()
        self.measure.addItems([measure.value for measure in Measure])
        self.measure.setAccessibleName("What quality means")
        self.exports = {suffix: button(words, name=f"Save as {words}") for words, suffix in FORMATS.items()}
        self._sentence = label(HINT, "muted", wraps=True)
        self.tabs = ChoiceBar(("Quality", "Speed"), "tab", 16)
        self.speed = SpeedView(services, bridge, models, theme)
        self._lead = label("", "muted", wraps=True)
        self._views = QStackedWidget()
        self._lay_out()

        self.tabs.chosen.connect(self.show_view)
        self.speed.refused.connect(self.refused)
        self.measure.currentIndexChanged.connect(lambda index: self.plot.set_measure(list(Measure)[index]))
        self.plot.chosen.connect(self._tell)
        self.table.selectionModel().currentRowChanged.connect(self._take_row)
        for suffix, widget in self.exports.items():
            widget.clicked.connect(partial(self._ask_where, suffix))
        bridge.job_changed.connect(self._take_job)

    def show_view(self, number: int) -> None:
        """QUALITY or SPEED."""
        self._lead.setText(LEADS[number])
        self._views.setCurrentIndex(number)

    def refresh(self) -> None:
        self._bridge.call(self._services.lab.cards.cards, self.show_cards, self._refuse)

    def show_cards(self, cards: list[Card]) -> None:
        if cards != self.model.cards:  # else a look at the page would lose the point that is chosen
            self.plot.set_cards(cards)
        self.model.set_cards(cards)
        for widget in self.exports.values():
            widget.setEnabled(bool(cards))

    def export(self, path: Path) -> None:
        """By its suffix: .png, .csv or .md. Raises OSError."""
        save_cards(path, self.model.cards, self.plot)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.refresh()

    def _ask_where(self, suffix: str) -> None:
        name, _ = QFileDialog.getSaveFileName(self, "Save the cards", f"cards{suffix}", f"*{suffix}")
        if not name:
            return
        path = Path(name)
        if path.suffix != suffix:
            path = path.with_name(path.name + suffix)
            if path.exists():  # the dialog has asked about the other name
                self.refused.emit(f"{path.name} is there already. Save under that very name to write over it.")
                return
        try:
            self.export(path)
        except OSError as fault:
            self.refused.emit(f"The cards could not be saved: {fault.strerror or fault}.")

    def _tell(self, card: Card | None) -> None:
        self._sentence.setText(f"{card.name}: {verdict(card)}" if card else HINT)

    def _take_row(self, index: QModelIndex) -> None:
        row = index.data(ROW_ROLE) if index.isValid() else None
        self._sentence.setText(f"{row.name}: {row.sentence}" if row else HINT)

    def _take_job(self, job: Job) -> None:
        if job.state is JobState.DONE and self.isVisible():
            self.refresh()

    def _refuse(self, error: Exception) -> None:
        self.refused.emit(f"The cards could not be read: {error}")

    def _lay_out(self) -> None:
        table = self.table
        header = LinesHeader()
        table.setHorizontalHeader(header)
        table.setModel(self._proxy)
        table.setSortingEnabled(True)
        table.sortByColumn(2, Qt.SortOrder.AscendingOrder)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        table.setTabKeyNavigation(False)
        table.setShowGrid(False)
        table.setFrameShape(QFrame.Shape.NoFrame)
        table.verticalHeader().hide()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)  # a long name gives way, no figure does
        table.setAccessibleName("Cards")
        table.setMinimumHeight(90)
        actions = QHBoxLayout()
        actions.setSpacing(8)
        actions.addWidget(self.measure)
        actions.addStretch(1)
        actions.addWidget(label("Save as", "muted"))
        for widget in self.exports.values():
            actions.addWidget(widget)
        quality = QWidget()
        layout = QVBoxLayout(quality)
        layout.setContentsMargins(32, 0, 32, 24)
        layout.setSpacing(12)
        layout.addLayout(actions)
        layout.addWidget(self.plot, 3)
        layout.addWidget(self._sentence)
        layout.addWidget(table, 2)
        for view in (quality, self.speed):
            self._views.addWidget(view)
        head = QVBoxLayout()
        head.setContentsMargins(32, 24, 32, 0)
        head.setSpacing(12)
        head.addWidget(label("Lab", "title"))
        head.addWidget(self._lead)
        head.addWidget(self.tabs)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(12)
        whole.addLayout(head)
        whole.addWidget(self._views, 1)
        self.show_view(QUALITY)
