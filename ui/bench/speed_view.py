"""Speeds of models on this machine: measured and tuned here, drawn over time, compared run by run."""

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QScrollArea,
    QStackedWidget,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from app.bench.comparing import Difference, to_markdown
from app.bench.page import page
from app.bench.rows import Row
from app.bench.tuned import Purpose
from ui.bench.history_plot import HistoryPlot
from ui.bench.moments import offered
from ui.bench.runs_model import RUN_ROLE, Column, RunsModel
from ui.bench.speed_desk import SpeedDesk
from ui.bench.tune_card import TuneCard
from ui.bridge import Bridge
from ui.library.models_model import ModelsModel
from ui.markdown.view import MarkdownView
from ui.theme import Theme
from ui.widgets.copy_button import CopyButton
from ui.widgets.job_row import JobRow
from ui.widgets.labels import button, label
from ui.widgets.lines_header import LinesHeader

if TYPE_CHECKING:
    from app.bench.history import Run
    from app.library.entry import ModelEntry
    from app.services import Services

HINT = "Choose a run to read it, or two of them to compare."
NO_MODELS = "Install a model first: “Discover” has many."
PURPOSES = {"Tune for chat": Purpose.CHAT, "Tune for many requests": Purpose.BATCH}
TUNE_TIP = "Finds threads, batches, flash attention and placement in some minutes, and changes nothing by itself."
MEASURE_TIP = "By depth, side by side, with drafts and with a quantized KV cache. Takes some minutes."
MAX_CHOSEN = 2
TABLE_HEIGHT = 220
HEAD_HEIGHT = 56  # of the controls, or of the job in their place: what stands below does not move


class SpeedView(QScrollArea):
    refused = Signal(str)

    def __init__(self, services: "Services", bridge: Bridge, models: ModelsModel, theme: Theme):
        super().__init__()
        self._models = models
        self._theme = theme
        self._rows: list[Row] = []
        self._job: JobRow | None = None
        self.desk = SpeedDesk(services, bridge, models, self)
        self.model = RunsModel()
        self.chooser = QComboBox()
        self.measure = button("Measure speed", "primary")
        self.purpose = QComboBox()
        self.tune = button("Tune")
        self.card = TuneCard()
        self.plot = HistoryPlot(theme)
        self.figure = QComboBox()
        self.only = QComboBox()
        self.table = QTableView()
        self.bring_in = button("Import…", name="Import another machine's runs from JSON")
        self.remove = button("Remove", name="Remove the chosen run")
        self.copy = CopyButton(self._markdown, "Copy the chosen runs as Markdown", says="Copy as Markdown", kind="")
        self.reader = MarkdownView(theme.palette, "The chosen runs")
        self._hint = label(HINT, "muted", wraps=True)
        self._head = QStackedWidget()
        self._column = QVBoxLayout()
        self._lay_out()

        self.measure.clicked.connect(self.desk.measure)
        self.tune.clicked.connect(self.desk.tune)
        self.chooser.currentIndexChanged.connect(self._look)
        self.purpose.currentIndexChanged.connect(self._look)
        self.figure.currentIndexChanged.connect(self._draw)
        self.only.currentIndexChanged.connect(self._show_runs)
        self.card.apply_clicked.connect(self.desk.apply)
        self.card.undo_clicked.connect(self.desk.undo)
        self.plot.chosen.connect(self._choose)
        self.table.selectionModel().selectionChanged.connect(self._read)
        self.bring_in.clicked.connect(self._ask_which)
        self.remove.clicked.connect(self._remove)
        self.desk.runs_changed.connect(self._take_runs)
        self.desk.tuned_changed.connect(self._show_tuned)
        self.desk.job_changed.connect(self._show_job)
        self.desk.refused.connect(self.refused)
        models.refreshed.connect(self._take_models)
        theme.changed.connect(self._recolor)
        self._take_models()
        self._take_runs()

    @property
    def chosen(self) -> "list[Run]":
        """At most two, the older first."""
        indexes = self.table.selectionModel().selectedRows()
        found: list[Run] = [index.data(RUN_ROLE) for index in indexes]
        return sorted(found, key=lambda run: run.id)[:MAX_CHOSEN]

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.desk.refresh()

    def _take_models(self) -> None:
        """Whichever was chosen stays."""
        entries = self._models.offered
        if [entry.id for entry in entries] != [self.chooser.itemData(at) for at in range(self.chooser.count())]:
            before = self.chooser.currentData()
            self.chooser.blockSignals(True)
            self.chooser.clear()
            for entry in entries:
                self.chooser.addItem(entry.full_name, entry.id)
            self.chooser.setCurrentIndex(max(0, self.chooser.findData(before)))
            self.chooser.blockSignals(False)
            self._look()
        for widget in (self.chooser, self.purpose):
            widget.setEnabled(bool(entries))
        self.chooser.setPlaceholderText(NO_MODELS)
        self._allow()

    def _look(self) -> None:
        self.desk.look_at(self._entry(), Purpose(self.purpose.currentData()))
        self._allow()

    def _entry(self) -> "ModelEntry | None":
        return self._models.find(self.chooser.currentData())

    def _allow(self) -> None:
        """One at a time: side by side they would measure each other."""
        can_begin = self._entry() is not None and not self.desk.is_at_work
        self.measure.setEnabled(can_begin)
        self.tune.setEnabled(can_begin)

    def _take_runs(self) -> None:
        names = list(dict.fromkeys(run.title for run in self.desk.runs))
        if names != [self.only.itemData(at) for at in range(1, self.only.count())]:
            before = self.only.currentData()
            self.only.blockSignals(True)
            self.only.clear()
            self.only.addItem("All models")
            for name in names:
                self.only.addItem(name, name)
            self.only.setCurrentIndex(max(0, self.only.findData(before)) if before else 0)
            self.only.blockSignals(False)
        self._show_runs()

    def _show_runs(self) -> None:
        wanted = self.only.currentData()
        runs = [run for run in self.desk.runs if wanted in (None, run.title)]
        self.model.set_runs(runs)
        self._rows = offered(runs)
        keys = [row.key for row in self._rows]
        if keys != [self.figure.itemData(at) for at in range(self.figure.count())]:
            before = self.figure.currentData()
            self.figure.blockSignals(True)
            self.figure.clear()
            for row in self._rows:
                self.figure.addItem(f"{row.name}, {row.unit}", row.key)
            self.figure.setCurrentIndex(max(0, self.figure.findData(before)))
            self.figure.blockSignals(False)
        for widget in (self.figure, self.only, self.table, self.remove, self.copy):
            widget.setVisible(bool(self.desk.runs))
        self._draw()
        self._read()

    def _draw(self) -> None:
        at = self.figure.currentIndex()
        if 0 <= at < len(self._rows):
            self.plot.show_runs(self.model.runs, self._rows[at].key, self._rows[at].unit)
        else:
            self.plot.show_runs([], "", "")

    def _choose(self, run: "Run | None") -> None:
        """What the picture is at is chosen in the table."""
        if run in self.model.runs:
            self.table.selectRow(self.model.runs.index(run))

    def _read(self) -> None:
        runs = self.chosen
        self.reader.finish(self._markdown())
        self.reader.setVisible(bool(runs))
        self._hint.setVisible(bool(self.model.runs) and not runs)
        self.copy.setEnabled(bool(runs))
        self.remove.setEnabled(len(runs) == 1)

    def _recolor(self) -> None:
        self.reader.recolor(self._theme.palette)

    def _markdown(self) -> str:
        """One run as a page; two of them compared."""
        match self.chosen:
            case [run]:
                return page(run.figures)
            case [first, second]:
                return to_markdown(Difference(first.figures, second.figures))
        return ""

    def _remove(self) -> None:
        if len(runs := self.chosen) == 1:
            self.desk.remove(runs[0])

    def _ask_which(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Import runs", "", "*.json")
        if name:
            self.desk.bring_in(Path(name))

    def _show_tuned(self) -> None:
        self.card.show_tuned(self.desk.tuned, self.desk.defaults, self.desk.can_undo)

    def _show_job(self) -> None:
        job = self.desk.job
        if self._job is not None and (job is None or job.id != self._job.job.id):
            self._head.removeWidget(self._job)
            self._job.deleteLater()
            self._job = None
        if job is not None and self._job is None:
            self._job = JobRow(job, is_dismissable=True)
            self._job.cancel_clicked.connect(self.desk.cancel)
            self._job.dismissed.connect(self.desk.dismiss)
            self._head.addWidget(self._job)
            self._head.setCurrentWidget(self._job)
        if job is not None and self._job is not None:
            self._job.show_job(job)
        self._allow()

    def _lay_out(self) -> None:
        for words, purpose in PURPOSES.items():
            self.purpose.addItem(words, str(purpose))
        for widget, name in (
            (self.chooser, "Model to measure"),
            (self.purpose, "What to tune for"),
            (self.figure, "Figure that is drawn"),
            (self.only, "Models that are shown"),
        ):
            widget.setAccessibleName(name)
        self.measure.setToolTip(MEASURE_TIP)
        self.tune.setToolTip(TUNE_TIP)
        self._lay_out_table()
        begin = QWidget()
        row = _row(self.chooser, self.measure, None, self.purpose, self.tune)
        row.setContentsMargins(0, 0, 0, 0)
        begin.setLayout(row)
        self._head.addWidget(begin)
        self._head.setFixedHeight(HEAD_HEIGHT)
        self._column.setSpacing(12)
        self._column.addWidget(self._head)
        self._column.addWidget(self.card)
        self._column.addLayout(_row(self.figure, None, self.only))
        self._column.addWidget(self.plot)
        self._column.addWidget(self.table)
        self._column.addLayout(_row(self._hint, None, self.bring_in, self.remove, self.copy))
        self._column.addWidget(self.reader)
        self._column.addStretch(1)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        inside = QWidget()
        inside.setProperty("kind", "transparent")
        inside.setLayout(self._column)
        self._column.setContentsMargins(32, 0, 32, 24)
        self.setWidget(inside)
        self.reader.hide()

    def _lay_out_table(self) -> None:
        table, header = self.table, LinesHeader()
        table.setHorizontalHeader(header)
        table.setModel(self.model)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        table.setTabKeyNavigation(False)
        table.setShowGrid(False)
        table.setFrameShape(QFrame.Shape.NoFrame)
        table.verticalHeader().hide()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(Column.MODEL, QHeaderView.ResizeMode.Stretch)
        table.setAccessibleName("Runs")
        table.setFixedHeight(TABLE_HEIGHT)


def _row(*widgets: QWidget | None) -> QHBoxLayout:
    """None: room to spare."""
    row = QHBoxLayout()
    row.setSpacing(8)
    for widget in widgets:
        if widget is None:
            row.addStretch(1)
        else:
            row.addWidget(widget)
    return row
