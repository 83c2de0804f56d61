"""Says which model answers, how its load goes, and lets a person choose another."""

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, QSize, Qt, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QHBoxLayout, QMenu, QProgressBar, QWidget

from app.inference.engine_handle import EngineState
from ui.engine_desk import EngineDesk
from ui.figures import count, size
from ui.icons import icon
from ui.library.models_model import ModelsModel
from ui.palette import Palette
from ui.plain import plain_tip, unmarked
from ui.theme import Theme
from ui.widgets.elided import elided
from ui.widgets.labels import button, label, restyle

if TYPE_CHECKING:
    from app.library.entry import ModelEntry

STEPS = 1000
RESTING = "Unloaded to free memory; your next message loads it again"
MENU_WIDTH, BUTTON_WIDTH = 400, 360  # pixels of a name and its quantization


class ModelPicker(QWidget):
    chosen = Signal(object)  # ModelEntry
    plan_wanted = Signal(object)  # ModelEntry
    opened = Signal()
    unload_clicked = Signal()

    def __init__(self, desk: EngineDesk, models: ModelsModel, theme: Theme):
        super().__init__()
        self._desk = desk
        self._models = models
        self.button = button("Choose a model", "picker")
        self.button.setIconSize(QSize(16, 16))
        self.button.setLayoutDirection(Qt.LayoutDirection.RightToLeft)  # the chevron goes after the name
        self.menu = QMenu(self)
        self._actions: list[tuple[QAction, ModelEntry]] = []
        self._state = label("", "caption")
        self._bar = QProgressBar()
        self._bar.setRange(0, STEPS)
        self._bar.setTextVisible(False)
        self._bar.setFixedWidth(160)
        self._bar.setAccessibleName("Model load progress")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        for widget in (self.button, self._bar, self._state):
            layout.addWidget(widget)
        layout.addStretch(1)

        self.button.clicked.connect(self.open_menu)
        desk.changed.connect(self._refresh)
        models.refreshed.connect(self._refresh)
        models.dataChanged.connect(self._write_lines)
        theme.changed.connect(self._recolor)
        self._recolor(theme.palette)
        self._refresh()

    def open_menu(self) -> None:
        self._fill_menu()
        self.opened.emit()
        self.menu.popup(self.button.mapToGlobal(QPoint(0, self.button.height() + 4)))

    def _fill_menu(self) -> None:
        self.menu.clear()
        self._actions = [(self.menu.addAction(""), entry) for entry in self._models.offered]
        self._write_lines()
        for action, entry in self._actions:
            action.setCheckable(True)
            action.setChecked(self._desk.entry is not None and self._desk.entry.id == entry.id)
            action.triggered.connect(partial(self._choose, entry))
        if not self._models.offered:
            is_empty = not self._models.entries
            self.menu.addAction("The library is empty" if is_empty else "No model of the library can run").setEnabled(
                False
            )
        self._add_orders()

    def _add_orders(self) -> None:
        """Beneath the models: what else can be done with one."""
        if self._models.offered or self._desk.entry:
            self.menu.addSeparator()
        if self._models.offered:
            plans = self.menu.addMenu("Plan a load")
            for entry in self._models.offered:
                plans.addAction(unmarked(entry.full_name)).triggered.connect(partial(self._plan, entry))
        if self._desk.entry:
            self.menu.addAction("Cancel loading" if self._desk.is_loading else "Unload", self.unload_clicked.emit)

    def _write_lines(self) -> None:
        """Verdicts may come while the menu is open."""
        for action, entry in self._actions:
            action.setText(self._line(entry))

    def _line(self, entry: "ModelEntry") -> str:
        """Name, quantization, what tells it from its like; in a column of its own whether it fits, else the size."""
        loaded = "loaded" if self._models.is_loaded(entry) else ""
        tail = "  ".join(filter(None, (entry.quantization, entry.place, entry.kind, loaded)))
        verdict = self._models.verdicts.get(entry.path)
        note = verdict.sentence if verdict else size(entry.bytes)
        return unmarked(elided(entry.name, tail, self.menu.fontMetrics(), MENU_WIDTH)) + f"\t{note}"

    def _plan(self, entry: "ModelEntry") -> None:
        self.plan_wanted.emit(entry)

    def _choose(self, entry: "ModelEntry") -> None:
        self.chosen.emit(entry)

    def _refresh(self) -> None:
        entry = self._desk.entry
        name, tail = (entry.name, entry.quantization) if entry else ("Choose a model", "")
        self.button.setText(unmarked(elided(name, tail, self.button.fontMetrics(), BUTTON_WIDTH)))
        self.button.setAccessibleName(f"Model: {entry.full_name if entry else name}")
        self.button.setToolTip(plain_tip(entry.full_name) if entry else "")
        self._bar.setVisible(self._desk.is_loading)
        snapshot = self._desk.snapshot
        self._bar.setValue(int(snapshot.fraction * STEPS) if snapshot else 0)
        is_failed = snapshot is not None and snapshot.state is EngineState.FAILED
        restyle(self._state, "kind", "problem" if is_failed else "caption")
        self._state.setText(self._sentence())

    def _sentence(self) -> str:
        snapshot = self._desk.snapshot
        if self._desk.is_loading:
            if snapshot and snapshot.waits:
                return snapshot.waits
            again = "Starting again" if snapshot and snapshot.crash else "Loading"
            return f"{again} {snapshot.fraction:.0%}" if snapshot else f"{again}…"
        if snapshot is None:
            return ""
        if snapshot.state is EngineState.FAILED:
            return "Not loaded"
        if snapshot.state is EngineState.CLOSED:
            return RESTING
        ready = snapshot.ready
        return f"{ready.device}  ·  {count(ready.context)} tokens" if ready else ""

    def _recolor(self, colors: Palette) -> None:
        self.button.setIcon(icon("chevron", colors.muted, 16))
