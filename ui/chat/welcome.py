"""What an empty chat shows: the way to the first answer, in one click."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPaintEvent, QPen
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from app.jobs.job import Job, JobState
from app.library.entry import BASE_MODEL
from ui.figures import size
from ui.guide_desk import SMOLLM2_BYTES, First
from ui.theme import Theme
from ui.widgets.elided import elided
from ui.widgets.flow_layout import FlowLayout
from ui.widgets.job_row import JobRow
from ui.widgets.labels import button, label

if TYPE_CHECKING:
    from app.library.entry import ModelEntry

WIDTH = 560
CHIP_EDGES = 48  # pixels beside the text of a choice
MAX_OFFERED = 4
SMOLLM2_HINT = "A small model for general questions, downloaded as a Python package."


class Emblem(QWidget):
    """Three lines of air, each bending closer: the app's mark."""

    def __init__(self, theme: Theme):
        super().__init__()
        self._theme = theme
        self.setFixedSize(64, 40)
        theme.changed.connect(self.update)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for number, strength in enumerate((1.0, 0.6, 0.3)):
            color = QColor(self._theme.palette.accent)
            color.setAlphaF(strength)
            painter.setPen(QPen(color, 4, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
            top = 8 + number * 12
            path = QPainterPath()
            path.moveTo(4 + number * 8, top + 6)
            path.cubicTo(20, top + 6, 24, top - 4, 36, top - 4)
            path.cubicTo(46, top - 4, 48, top + 4, 60 - number * 8, top + 4)
            painter.drawPath(path)


class Welcome(QWidget):
    install_clicked = Signal()
    smollm2_clicked = Signal()
    again_clicked = Signal()  # the install that failed
    cancel_clicked = Signal(int)
    chosen = Signal(object)  # ModelEntry
    asked = Signal(str)

    def __init__(self, theme: Theme):
        super().__init__()
        self._job_row: JobRow | None = None
        self._title = label("", "title", wraps=True)
        self._lead = label("", "lead", wraps=True)
        self._body = QVBoxLayout()
        self._body.setSpacing(12)
        column = QWidget()
        column.setMaximumWidth(WIDTH)
        inside = QVBoxLayout(column)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(8)
        inside.addWidget(Emblem(theme))
        inside.addSpacing(8)
        inside.addWidget(self._title)
        inside.addWidget(self._lead)
        inside.addSpacing(16)
        inside.addLayout(self._body)
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(column, 1000)
        row.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 24, 24, 24)
        layout.addStretch(2)
        layout.addLayout(row)
        layout.addStretch(3)

    def show_first_start(self, num_bytes: int | None) -> None:
        """An empty library: the guide is one click away."""
        self._begin(
            "A model of your own, on this machine",
            "Slipstream runs language models in a process of their own, on your hardware. Start with the one that "
            "comes with it: it is small, and knows this app.",
        )
        amount = f"{size(num_bytes)}, converted" if num_bytes else "Converted"
        install = button("Install the Slipstream Guide", "primary")
        install.setMinimumHeight(40)
        install.clicked.connect(self.install_clicked)
        self._body.addWidget(install, 0, Qt.AlignmentFlag.AlignLeft)
        hint = f"{amount} and quantized on this machine in a few seconds; no network needed."
        self._body.addWidget(label(hint, "caption", wraps=True))
        self._body.addSpacing(8)
        other = button(f"Install SmolLM2 ({size(SMOLLM2_BYTES)})")
        other.clicked.connect(self.smollm2_clicked)
        self._body.addWidget(other, 0, Qt.AlignmentFlag.AlignLeft)
        self._body.addWidget(label(SMOLLM2_HINT, "caption", wraps=True))

    def show_job(self, job: Job, what: str = First.GUIDE) -> None:
        """A first model on its way. A job that failed says why, and may be tried again."""
        if self._job_row is None:
            self._begin(f"Installing {what}", "It loads by itself when it is ready.")
            self._job_row = JobRow(job)
            self._job_row.cancel_clicked.connect(self.cancel_clicked)
            self._body.addWidget(self._job_row)
        self._job_row.show_job(job)
        if job.state is JobState.FAILED:
            again = button("Try again", "primary")
            again.clicked.connect(self.again_clicked)
            self._body.addWidget(again, 0, Qt.AlignmentFlag.AlignLeft)

    def show_models(self, entries: "Sequence[ModelEntry]") -> None:
        self._begin("Choose a model", "You can change it at any time, above.")
        for entry in [entry for entry in entries if not entry.is_checkpoint][:MAX_OFFERED]:
            tail = "    ".join(filter(None, (entry.quantization, entry.place, size(entry.bytes))))
            text = elided(entry.name, tail, self.fontMetrics(), WIDTH - CHIP_EDGES)
            choice = button(text, "chip", f"Load {entry.full_name}")
            choice.clicked.connect(partial(self._choose, entry))
            self._body.addWidget(choice, 0, Qt.AlignmentFlag.AlignLeft)

    def show_loading(self, name: str) -> None:
        self._begin(f"Loading {name}", "A moment; you can write your question meanwhile.")

    def show_ready(
        self, name: str, questions: Sequence[str], *, is_base: bool = False, completes: bool = False
    ) -> None:
        """is_base: the model has no chat format; completes: it is to go on with a text instead of a dialogue."""
        lead = "Questions it knows well:" if questions else "It runs on this machine; nothing you write leaves it."
        if is_base:
            deed = "Begin a text, and it goes on." if completes else "A chat with it is a plain dialogue."
            lead = f"{BASE_MODEL}\n{deed}"
        self._begin(f"Write with {name}" if completes else f"Ask {name}", lead)
        chips = QWidget()
        flow = FlowLayout(chips, 8)
        for question in questions:
            chip = button(question, "chip", f"Ask: {question}")
            chip.clicked.connect(partial(self._ask, question))
            flow.addWidget(chip)
        self._body.addWidget(chips)

    def _choose(self, entry: "ModelEntry") -> None:
        self.chosen.emit(entry)

    def _ask(self, question: str) -> None:
        self.asked.emit(question)

    def _begin(self, title: str, lead: str) -> None:
        self._job_row = None
        self._title.setText(title)
        self._lead.setText(lead)
        while item := self._body.takeAt(0):
            if widget := item.widget():
                widget.hide()
                widget.deleteLater()
