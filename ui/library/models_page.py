"""The library: the shelf at the left; one model, or the disk, at the right; jobs lie over it, notices below it."""

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QHideEvent, QShowEvent
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QScrollArea, QStackedWidget, QVBoxLayout, QWidget

from app.inference.snapshot import EngineState
from app.jobs.job import Job, Lane
from ui.bridge import Bridge
from ui.engine_desk import EngineDesk
from ui.figures import size
from ui.guide_desk import SMOLLM2_BYTES, GuideDesk
from ui.lab.card_view import CardView
from ui.library.disk_view import DiskView
from ui.library.drop_question import DropQuestion
from ui.library.library_desk import LibraryDesk
from ui.library.loaded_card import LoadedCard
from ui.library.loaded_desk import LoadedDesk
from ui.library.model_details import ModelDetails
from ui.library.models_model import ModelsModel
from ui.library.quality_desk import QualityDesk
from ui.library.quantize_panel import QuantizePanel
from ui.library.shelf import Shelf
from ui.library.unread_notice import UnreadNotice
from ui.library.verdict_desk import VerdictDesk
from ui.theme import Theme
from ui.widgets.job_row import JobRow
from ui.widgets.labels import button, label, restyle
from ui.widgets.overlay import MARGIN, Edge, Overlay

if TYPE_CHECKING:
    from app.inference.engine_handle import EngineHandle
    from app.library.entry import ModelEntry
    from app.services import Services

EMPTY = "The library is empty. Start with the model that comes with Slipstream, or with SmolLM2, which is downloaded."


class ModelsPage(QWidget):
    plan_wanted = Signal(object)  # ModelEntry

    def __init__(
        self,
        services: "Services",
        bridge: Bridge,
        desk: EngineDesk,
        models: ModelsModel,
        guide: GuideDesk,
        verdicts: VerdictDesk,
        theme: Theme,
    ):
        super().__init__()
        self._verdicts = verdicts
        self._services = services
        self._desk = desk
        self._guide = guide
        self._models = models
        self._job_rows: dict[int, JobRow] = {}
        self._shown: str | None = None  # id of the model at the right
        self._model_side, self._right = QWidget(), QStackedWidget()  # an empty shelf leaves the side empty
        self.library = LibraryDesk(services, bridge, models)
        self.loaded_desk = LoadedDesk(services, bridge)
        self.loaded = LoadedCard(self.loaded_desk, theme)
        self.shelf = Shelf(models, theme)
        self.filter, self.view = self.shelf.filter, self.shelf.view
        self.details = ModelDetails()
        self.card = CardView()
        self.quality_desk = QualityDesk(services, bridge, models, self.card)
        self.quantize = QuantizePanel(services, bridge, theme)
        self.disk = DiskView(services, bridge, models, theme)
        self.dropped = DropQuestion()
        self.unread = UnreadNotice()
        self.install = button("Install the Slipstream Guide", "primary")
        self.install_smollm2 = button(f"Install SmolLM2 ({size(SMOLLM2_BYTES)})")
        self.add_folder = button("Add a folder…")
        self.show_disk = button("Disk use")
        self.setAcceptDrops(True)
        self._lay_out()
        self._connect(bridge)
        self._refresh()
        self.loaded.refresh()

    def choose(self, model_id: str) -> None:
        """Bring a model before the person's eyes, whatever the filter says."""
        self.shelf.choose(model_id)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.library.begin()
        self._verdicts.look()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self.library.rest()
        self.details.note.save()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if _local_paths(event):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        if paths := _local_paths(event):
            event.acceptProposedAction()
            self.dropped.ask(paths)

    def _connect(self, bridge: Bridge) -> None:
        self.shelf.chosen.connect(self._choose)
        self.shelf.load_wanted.connect(self._load)
        self.details.load_clicked.connect(self._load)
        self.details.plan_clicked.connect(self.plan_wanted)
        self.details.unload_clicked.connect(self._unload)
        self.details.remove_clicked.connect(self.library.ask_removal)
        self.details.removed.connect(self._models.remove)
        self.details.verify_clicked.connect(lambda entry: self.library.verify([entry]))
        self.details.convert_clicked.connect(self.library.convert)
        self.details.quantize_clicked.connect(self._show_quantize)
        self.details.renamed.connect(self.library.rename)
        self.details.starred.connect(self.library.star)
        self.details.note.written.connect(self.library.write_note)
        self.library.removal_known.connect(self.details.ask)
        self.library.refused.connect(self._models.refused)
        self.quantize.started.connect(self._follow)
        self.quantize.closed.connect(self._close_quantize)
        self.disk.chosen.connect(self._look_at)
        self.disk.check_wanted.connect(self.library.verify)
        self.dropped.copy_wanted.connect(self.library.bring_in)
        self.dropped.folder_wanted.connect(self.library.add_folder)
        self.add_folder.clicked.connect(self._choose_folder)
        self.show_disk.clicked.connect(self._toggle_disk)
        self.install.clicked.connect(self._guide.install)
        self.install_smollm2.clicked.connect(self._guide.install_smollm2)
        self._guide.changed.connect(self._refresh_installs)
        self._models.refreshed.connect(self._refresh)
        self._models.refreshed.connect(self._look_at_machine)
        self._models.dataChanged.connect(self._refresh)
        self._models.modelReset.connect(self._refresh_disk)
        self._right.currentChanged.connect(self._name_disk_button)
        self._desk.changed.connect(self._mark_loaded)
        bridge.engine_changed.connect(self._mark_loaded)
        self.loaded_desk.changed.connect(self._mark_loaded)
        self.loaded_desk.refused.connect(self._models.refused)
        bridge.job_changed.connect(self._show_job)

    def _choose(self) -> None:
        """Another model is looked at: panels that belong to the one before close."""
        entry = self.shelf.entry
        if entry is not None and entry.id != self._shown:
            self._shown = entry.id
            self.quantize.hide()
            self._right.setCurrentWidget(self._model_side)
        self._refresh()

    def _load(self, entry: "ModelEntry") -> None:
        if entry.can_chat:
            self._desk.load(entry)

    def _look_at(self, entry: "ModelEntry") -> None:
        self.choose(entry.id)
        self._right.setCurrentWidget(self._model_side)

    def _toggle_disk(self) -> None:
        self._right.setCurrentWidget(self._model_side if self._is_disk_shown else self.disk)
        self._refresh_disk()

    def _look_at_machine(self) -> None:
        if self.isVisible():
            self._verdicts.look()

    def _refresh_disk(self) -> None:
        if self._is_disk_shown:
            self.disk.refresh()

    def _name_disk_button(self) -> None:
        self.show_disk.setText("Back to the model" if self._is_disk_shown else "Disk use")
        self.show_disk.setAccessibleName(self.show_disk.text())

    @property
    def _is_disk_shown(self) -> bool:
        return self._right.currentWidget() is self.disk

    def _show_quantize(self, entry: "ModelEntry") -> None:
        self.quantize.show()
        self.quantize.show_entry(entry)
        self._scroll.ensureWidgetVisible(self.quantize)

    def _close_quantize(self) -> None:
        self.quantize.hide()
        self.details.quantize.setFocus(Qt.FocusReason.OtherFocusReason)

    def _follow(self, job_id: int) -> None:
        self.library.follow(job_id)
        self.quantize.hide()

    def _choose_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Add a folder of models")
        if name:
            self.library.add_folder(Path(name))

    def _unload(self) -> None:
        """The one that is looked at, whoever has loaded it."""
        entry, chosen = self.shelf.entry, self._desk.entry
        if entry and chosen and entry.id == chosen.id:
            self._desk.unload()
        elif entry and (handle := self._handle_of(entry)):
            self.loaded_desk.unload(handle.name)

    def _handle_of(self, entry: "ModelEntry") -> "EngineHandle | None":
        return next((each for each in self._services.supervisor.living() if each.model == entry.path), None)

    def _mark_loaded(self) -> None:
        engines = self._services.supervisor.living()
        files = frozenset(each.model for each in engines if each.snapshot.state is EngineState.READY)
        self._models.mark_loaded(files)
        self.loaded.refresh()
        self._refresh()

    def _refresh(self) -> None:
        self._stack.setCurrentIndex(0 if self._models.entries else 1)
        self.unread.show_notices(self._models.notices)
        self.show_disk.setEnabled(bool(self._models.entries))
        entry = self.shelf.entry
        self._scroll.setVisible(entry is not None)
        if entry:
            is_chosen = self._desk.entry is not None and self._desk.entry.id == entry.id
            handle = self._handle_of(entry)
            is_loaded = handle is not None or (is_chosen and not self._desk.is_resting)
            snapshot = self._desk.snapshot if is_chosen else handle.snapshot if handle else None
            ready, stats = (snapshot.ready, snapshot.stats) if snapshot else (None, None)
            verdict = self._models.verdicts.get(entry.path)
            self.details.show_entry(entry, is_loaded, ready, stats.drafting if stats else None, verdict)
            self.quality_desk.show_entry(entry)

    def _refresh_installs(self) -> None:
        for widget in (self.install, self.install_smollm2):
            widget.setEnabled(not self._guide.is_installing)

    def _show_job(self, job: Job) -> None:
        is_first = self._guide.job is not None and self._guide.job.id == job.id
        if job.lane is Lane.LIGHT and not is_first and job.id not in self._job_rows:
            return  # an install: the page Downloads has it
        row = self._job_rows.get(job.id)
        if row is None and (job.error or not job.state.is_final):  # one may fail before it is seen at work
            row = self._job_rows[job.id] = JobRow(job, is_dismissable=True, lies_over=True)
            row.cancel_clicked.connect(self._services.jobs.cancel)
            row.dismissed.connect(self._drop_job)
            self._jobs.add_note(row)
        elif row:
            row.show_job(job)
        if row and job.state.is_final and not job.error:
            self._drop_job(job.id)

    def _drop_job(self, job_id: int) -> None:
        row = self._job_rows.pop(job_id)
        self._jobs.take_note(row)
        row.deleteLater()

    def _lay_out(self) -> None:
        self._fill_model_side()
        self._right.addWidget(self._model_side)
        self._right.addWidget(self.disk)
        library = QWidget()
        row = QHBoxLayout(library)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(24)
        row.addWidget(self.shelf, 2)
        row.addWidget(self._right, 3)
        self._stack = QStackedWidget()
        self._stack.addWidget(library)
        self._stack.addWidget(self._make_empty())
        self._jobs = Overlay(Edge.BOTTOM)
        self._jobs.lie_over(self._stack)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(32, 24, 32, 24)
        layout.setSpacing(16)
        layout.addLayout(self._make_head())
        layout.addWidget(self._stack, 1)
        for widget in (self.dropped, self.unread, self.loaded):
            layout.addWidget(widget)
        self._jobs.resized.connect(self._make_room)

    def _make_room(self, height: int) -> None:
        """So that the last of the chosen model can be scrolled out from under the jobs."""
        self._cards.setContentsMargins(0, 0, 8, height + MARGIN if height else 0)

    def _fill_model_side(self) -> None:
        self._scroll = QScrollArea(widgetResizable=True)
        self._scroll.setAccessibleName("The chosen model")
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setVerticalScrollBarPolicy(
            Qt.ScrollBarPolicy.ScrollBarAlwaysOn
        )  # nothing moves when one is needed
        bar = self._scroll.verticalScrollBar()
        bar.rangeChanged.connect(lambda _, most: restyle(bar, "idle", most == 0))
        pane = QWidget()
        pane.setProperty("kind", "transparent")
        cards = self._cards = QVBoxLayout(pane)
        cards.setContentsMargins(0, 0, 8, 0)
        cards.setSpacing(16)
        for widget in (self.details, self.quantize, self.card):
            cards.addWidget(widget)
        cards.addStretch(1)
        self.quantize.hide()
        self._scroll.setWidget(pane)
        side = QVBoxLayout(self._model_side)
        side.setContentsMargins(0, 0, 0, 0)
        side.addWidget(self._scroll)

    def _make_head(self) -> QHBoxLayout:
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(label("Models", "title"))
        head.addStretch(1)
        for widget in (self.show_disk, self.add_folder):
            head.addWidget(widget)
        return head

    def _make_empty(self) -> QWidget:
        result = QWidget()
        layout = QVBoxLayout(result)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(16)
        layout.addWidget(label(EMPTY, "lead", wraps=True))
        for widget in (self.install, self.install_smollm2):
            layout.addWidget(widget, 0, Qt.AlignmentFlag.AlignLeft)
        layout.addWidget(label("Or drop a model file or a folder of models here.", "muted"))
        layout.addStretch(1)
        return result


def _local_paths(event: QDropEvent | QDragEnterEvent) -> list[Path]:
    return [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
