"""Makes a smaller file of a model: choose a type, see what it will take, start it as a job.

Whoever places it calls `show_entry` and listens to `started` and `closed`.
"""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QCheckBox, QComboBox, QFileDialog, QFrame, QHBoxLayout, QListView, QVBoxLayout

from app.jobs.quantize import Quantize
from backends.child import QuantizePlan
from backends.formats.quantizations import Quantization
from ui.bridge import Bridge
from ui.figures import size
from ui.library.quantizations_model import QuantizationsModel, TypeRole
from ui.theme import Theme
from ui.widgets.labels import button, label
from ui.widgets.row_delegate import RowDelegate

if TYPE_CHECKING:
    from app.library.entry import ModelEntry
    from app.services import Services

PLAN_AFTER_MS = 250  # of rest on a type: a plan is a process of its own
UNQUANTIZED = ("F32", "F16", "BF16")
LIST_WIDTH = 560
MOST_SEEN = 8  # types of the open list


class QuantizePanel(QFrame):
    started = Signal(int)  # the job's id
    closed = Signal()

    def __init__(self, services: "Services", bridge: Bridge, theme: Theme):
        super().__init__()
        self._services = services
        self._bridge = bridge
        self._entry: ModelEntry | None = None
        self._text: Path | None = None
        self._wants_matrix = False  # by the person's own choice, whatever the type needs
        self._plans: dict[str, QuantizePlan] = {}
        self.setProperty("kind", "card")
        self.types = QuantizationsModel(self)
        self.chooser = QComboBox()
        self.view = QListView()
        self._about = label("", "muted", wraps=True)
        self._title = label("", "section", wraps=True)
        self.outlook = label("", wraps=True)
        self.makes_matrix = QCheckBox("Make an importance matrix first")
        self._matrix_note = label("", "muted", wraps=True)
        self.choose_text = button("Use a text of your own…")
        self.again = QCheckBox("Quantize it again all the same")
        self.problem = label("", "problem", wraps=True)
        self.start = button("Quantize", "primary")
        self.close_button = button("Close")
        self._timer = QTimer(self, interval=PLAN_AFTER_MS, singleShot=True)
        self._lay_out(theme)

        self.chooser.currentIndexChanged.connect(self._show_type)
        self.makes_matrix.clicked.connect(self._choose_matrix)
        self.again.toggled.connect(self._refresh)
        self.choose_text.clicked.connect(self._choose_text)
        self.start.clicked.connect(self._start)
        self.close_button.clicked.connect(self.closed)
        self._timer.timeout.connect(self._plan)
        theme.changed.connect(self.view.viewport().update)

    @property
    def quantization(self) -> Quantization:
        return self.types.rows[max(0, self.chooser.currentIndex())]

    def show_entry(self, entry: "ModelEntry") -> None:
        """Begins anew for this model, with the type that suits most people."""
        self._entry = entry
        self._plans.clear()
        self._title.setText(f"Quantize {entry.full_name}")
        self.types.show_model(entry.parameters, entry.quantization)
        self.again.setChecked(False)
        self.chooser.setCurrentIndex(self.types.suggested())
        self._show_type()
        self.chooser.setFocus(Qt.FocusReason.OtherFocusReason)

    def _show_type(self) -> None:
        needs = self.quantization.needs_imatrix
        self.problem.clear()  # it was another type's
        self.makes_matrix.setChecked(needs or self._wants_matrix)
        self.makes_matrix.setEnabled(not needs)
        self._refresh()
        if self.quantization.name not in self._plans:
            self._timer.start()

    def _choose_matrix(self, is_wanted: bool) -> None:
        self._wants_matrix = is_wanted
        self._refresh()

    def _plan(self) -> None:
        if self._entry is not None and self.isVisible():
            path, type_ = self._entry.path, self.quantization.name
            work = partial(self._services.plan_quantization, path, type_)
            self._bridge.call(work, partial(self._take_plan, path), partial(self._tell, path, type_))

    def _take_plan(self, path: Path, plan: QuantizePlan) -> None:
        if self._entry is not None and self._entry.path == path:  # not one for the model before
            self._plans[plan.type] = plan
            self.types.show_size(plan.type, plan.bytes)
            self._refresh()

    def _tell(self, path: Path, type_: str, error: Exception) -> None:
        if self._entry is not None and (self._entry.path, self.quantization.name) == (path, type_):
            self.problem.setText(str(error))
            self._refresh()

    def _refresh(self) -> None:
        if self._entry is None:
            return
        row, plan = self.quantization, self._plans.get(self.quantization.name)
        self._about.setText(self.types.about(row))
        self.outlook.setText(_outlook(self._entry, row, plan))
        text = self._text.name if self._text else "the text that comes with Slipstream"
        need = f"{row.name} needs one. " if row.needs_imatrix else ""
        self._matrix_note.setText(
            f"{need}The model reads {text} first, and the weights that mattered most are kept best. "
            "That takes about as long as a long prompt."
        )
        is_again = self._entry.quantization not in UNQUANTIZED
        self.again.setVisible(is_again)
        self.choose_text.setEnabled(self.makes_matrix.isChecked())
        self.problem.setVisible(bool(self.problem.text()))
        self.start.setEnabled(not is_again or self.again.isChecked())

    def _choose_text(self) -> None:
        name, _ = QFileDialog.getOpenFileName(
            self, "A text for the importance matrix", "", "Text (*.txt *.md);;All (*)"
        )
        self._text = Path(name) if name else None
        self._refresh()

    def _start(self) -> None:
        assert self._entry is not None
        work = Quantize(
            self._services.store,
            self._services.paths.logs,
            self._entry,
            self.quantization.name,
            makes_matrix=self.makes_matrix.isChecked(),
            text=self._text,
            allow_requantize=self.again.isChecked(),
        )
        self.started.emit(self._services.quantize(work))

    def _lay_out(self, theme: Theme) -> None:
        self.chooser.setView(self.view)
        self.chooser.setModel(self.types)
        self.chooser.setMaxVisibleItems(MOST_SEEN)
        self.chooser.setAccessibleName("Type to quantize to")
        self.view.setMinimumWidth(LIST_WIDTH)
        self.view.setItemDelegate(RowDelegate(theme, TypeRole.NOTE, TypeRole.DETAIL, self.view))
        self.view.setAccessibleName("Types to quantize to")
        self.view.setFrameShape(QFrame.Shape.NoFrame)
        self.view.setUniformItemSizes(True)
        self.view.setMouseTracking(True)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        for widget in (self.start, self.close_button):
            buttons.addWidget(widget)
        buttons.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 24, 24, 24)
        layout.setSpacing(12)
        layout.addWidget(self._title)
        layout.addWidget(self.chooser, 0, Qt.AlignmentFlag.AlignLeft)
        layout.addWidget(self._about)
        layout.addWidget(self.outlook)
        matrix = QHBoxLayout()
        matrix.addWidget(self.makes_matrix, 1)
        matrix.addWidget(self.choose_text)
        layout.addLayout(matrix)
        layout.addWidget(self._matrix_note)
        layout.addWidget(self.again)
        layout.addWidget(self.problem)
        layout.addLayout(buttons)


def _outlook(entry: "ModelEntry", row: Quantization, plan: QuantizePlan | None) -> str:
    """What will come of it, in a sentence or two; the exact size once it is planned."""
    if plan is None:
        lines = [f"About {size(round(entry.parameters * row.bits_per_weight / 8))} instead of {size(entry.bytes)}."]
    else:
        bits = f"{plan.bits_per_weight:.2f} bits per weight"
        lines = [f"{size(plan.bytes)} instead of {size(entry.bytes)}, {bits}."]
        if plan.fallbacks:
            lines.append(f"{len(plan.fallbacks)} tensors have rows that do not suit the type and take a larger one.")
    if entry.quantization not in UNQUANTIZED:
        lines.append(
            f"This file is {entry.quantization} already: quantizing it again loses more than going there from the "
            "F16 or BF16 file."
        )
    return " ".join(lines)
