"""The library: a list with a filter at the left, one model at the right, running jobs below."""

from typing import TYPE_CHECKING

from PySide6.QtCore import QItemSelectionModel, QSortFilterProxyModel, Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLineEdit, QListView, QStackedWidget, QVBoxLayout, QWidget

from app.jobs.job import Job
from ui.bridge import Bridge
from ui.engine_desk import EngineDesk
from ui.guide_desk import GuideDesk
from ui.library.model_details import ModelDetails
from ui.library.models_model import ModelRole, ModelsModel
from ui.theme import Theme
from ui.widgets.job_row import JobRow
from ui.widgets.labels import button, label
from ui.widgets.row_delegate import RowDelegate

if TYPE_CHECKING:
    from app.services import Services

LIST_WIDTH = 360


class ModelsPage(QWidget):
    def __init__(
        self,
        services: "Services",
        bridge: Bridge,
        desk: EngineDesk,
        models: ModelsModel,
        guide: GuideDesk,
        theme: Theme,
    ):
        super().__init__()
        self._services = services
        self._desk = desk
        self._models = models
        self._job_rows: dict[int, JobRow] = {}
        self._proxy = QSortFilterProxyModel(self)
        self._proxy.setSourceModel(models)
        self._proxy.setFilterCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self.filter = QLineEdit(placeholderText="Filter models")
        self.filter.setAccessibleName("Filter models")
        self.filter.setClearButtonEnabled(True)
        self.view = QListView()
        self.details = ModelDetails()
        self.install = button("Install the Slipstream Guide", "primary")
        self._lay_out(theme)

        self.filter.textChanged.connect(self._proxy.setFilterFixedString)
        self.view.selectionModel().currentChanged.connect(self._refresh)
        self.view.doubleClicked.connect(lambda index: desk.load(index.data(ModelRole.ENTRY)))
        self.details.load_clicked.connect(desk.load)
        self.details.unload_clicked.connect(desk.unload)
        self.details.removed.connect(models.remove)
        self.install.clicked.connect(guide.install)
        models.refreshed.connect(self._refresh)
        self._proxy.modelReset.connect(self._refresh)
        desk.changed.connect(self._mark_loaded)
        bridge.job_changed.connect(self._show_job)
        theme.changed.connect(self.view.viewport().update)
        self._refresh()

    def choose(self, model_id: str) -> None:
        """Bring a model before the person's eyes, whatever the filter says."""
        self.filter.clear()
        for row in range(self._proxy.rowCount()):
            index = self._proxy.index(row, 0)
            if index.data(ModelRole.ENTRY).id == model_id:
                self.view.setCurrentIndex(index)
                self.view.scrollTo(index)

    def _mark_loaded(self) -> None:
        self._models.mark_loaded(self._desk.entry.id if self._desk.entry else None)
        self._refresh()

    def _refresh(self) -> None:
        has_models = bool(self._models.entries)
        self._stack.setCurrentIndex(0 if has_models else 1)
        index = self.view.currentIndex()
        if not index.isValid() and self._proxy.rowCount():
            flag = QItemSelectionModel.SelectionFlag.ClearAndSelect
            index = self._proxy.index(0, 0)
            self.view.selectionModel().setCurrentIndex(index, flag)
        self.details.setVisible(index.isValid())
        entry = index.data(ModelRole.ENTRY) if index.isValid() else None
        if entry:
            is_loaded = self._desk.entry is not None and self._desk.entry.id == entry.id
            snapshot = self._desk.snapshot if is_loaded else None
            ready, stats = (snapshot.ready, snapshot.stats) if snapshot else (None, None)
            self.details.show_entry(entry, is_loaded, ready, stats.drafting if stats else None)

    def _show_job(self, job: Job) -> None:
        row = self._job_rows.get(job.id)
        if row is None and not job.state.is_final:
            row = self._job_rows[job.id] = JobRow(job)
            row.cancel_clicked.connect(self._services.jobs.cancel)
            self._jobs.layout().addWidget(row)  # type: ignore[union-attr]
        elif row:
            row.show_job(job)
        if row and job.state.is_final and not job.error:
            self._job_rows.pop(job.id).deleteLater()
        self._jobs.setVisible(bool(self._job_rows))

    def _lay_out(self, theme: Theme) -> None:
        self.view.setModel(self._proxy)
        self.view.setItemDelegate(RowDelegate(theme, ModelRole.NOTE, ModelRole.DETAIL, self.view))
        self.view.setAccessibleName("Models")
        self.view.setFrameShape(QFrame.Shape.NoFrame)
        self.view.setUniformItemSizes(True)
        self.view.setMouseTracking(True)
        left = QVBoxLayout()
        left.setSpacing(8)
        left.addWidget(self.filter)
        left.addWidget(self.view, 1)
        left_side = QWidget()
        left_side.setLayout(left)
        left_side.setFixedWidth(LIST_WIDTH)
        left.setContentsMargins(0, 0, 0, 0)
        shelf = QWidget()
        row = QHBoxLayout(shelf)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(24)
        row.addWidget(left_side)
        row.addWidget(self.details, 1, Qt.AlignmentFlag.AlignTop)
        self._stack = QStackedWidget()
        self._stack.addWidget(shelf)
        self._stack.addWidget(self._make_empty())
        self._jobs = QFrame()
        self._jobs.setProperty("kind", "card")
        QVBoxLayout(self._jobs).setContentsMargins(16, 16, 16, 16)
        self._jobs.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(32, 24, 32, 24)
        layout.setSpacing(16)
        layout.addWidget(label("Models", "title"))
        layout.addWidget(self._jobs)
        layout.addWidget(self._stack, 1)

    def _make_empty(self) -> QWidget:
        result = QWidget()
        layout = QVBoxLayout(result)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(16)
        layout.addWidget(label("The library is empty. Start with the model that comes with Slipstream.", "lead"))
        layout.addWidget(self.install, 0, Qt.AlignmentFlag.AlignLeft)
        layout.addStretch(1)
        return result
