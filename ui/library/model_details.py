"""What is known of one model, and what can be done with it. Removing asks here, not in a dialog."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFormLayout, QFrame, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from backends.protocol import Adapter, Drafting, Ready
from ui.figures import UNKNOWN, count, parameters, size, sources
from ui.widgets.copy_button import CopyButton
from ui.widgets.labels import button, label

if TYPE_CHECKING:
    from app.library.entry import ModelEntry

FILE_ROWS = ("Architecture", "Parameters", "Quantization", "Size", "Context", "Draft model", "File")
ENGINE_ROWS = ("Runs on", "KV cache", "LoRA", "Guessing ahead")  # hidden while they have nothing to say
ROWS = (*FILE_ROWS, *ENGINE_ROWS)


class ModelDetails(QFrame):
    load_clicked = Signal(object)  # ModelEntry
    unload_clicked = Signal()
    removed = Signal(object)  # ModelEntry

    def __init__(self) -> None:
        super().__init__()
        self._entry: ModelEntry | None = None
        self.setProperty("kind", "card")
        self._name = label("", "section", wraps=True)
        self._problem = label("", "problem", wraps=True)
        self._values = {row: label("", wraps=True) for row in ROWS}
        self.load = button("Load", "primary")
        self.unload = button("Unload")
        self.remove = button("Remove…")
        self._question = label("", wraps=True)
        self.confirm = button("Remove from this machine", "danger")
        self.keep = button("Keep it")
        self._copy = CopyButton(lambda: str(self._entry.path) if self._entry else "", "Copy path", says="Copy path")
        self._lay_out()

        self.load.clicked.connect(lambda: self.load_clicked.emit(self._entry))
        self.unload.clicked.connect(self.unload_clicked)
        self.remove.clicked.connect(lambda: self._ask(True))
        self.keep.clicked.connect(lambda: self._ask(False))
        self.confirm.clicked.connect(lambda: self.removed.emit(self._entry))

    def show_entry(
        self, entry: "ModelEntry", is_loaded: bool, ready: Ready | None = None, drafting: Drafting | None = None
    ) -> None:
        """`ready`: what its engine chose, once it is loaded; `drafting`: what that has learnt since."""
        if self._entry is None or self._entry.id != entry.id:
            self._ask(False)
        self._entry = entry
        self._name.setText(entry.name)
        self._problem.setText(entry.problem or "")
        self._problem.setVisible(bool(entry.problem))
        for row, value in zip(ROWS, (*_values(entry), *_choices(ready, drafting)), strict=True):
            self._values[row].setText(value)
        for row in ENGINE_ROWS:
            self._form.setRowVisible(self._values[row], bool(self._values[row].text()))
        self._question.setText(f"This deletes {size(entry.bytes)} from the disk.")
        self.load.setVisible(not is_loaded)
        self.unload.setVisible(is_loaded)
        self.remove.setEnabled(not is_loaded)
        self.remove.setToolTip("Unload it first" if is_loaded else "")

    def _ask(self, is_asking: bool) -> None:
        self._confirmation.setVisible(is_asking)
        self.remove.setVisible(not is_asking)
        if is_asking:
            self.keep.setFocus(Qt.FocusReason.OtherFocusReason)

    def _lay_out(self) -> None:
        form = self._form = QFormLayout()
        form.setHorizontalSpacing(24)
        form.setVerticalSpacing(8)
        form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft)
        for row in ROWS:
            self._values[row].setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            title = label(row, "muted")
            title.setAlignment(Qt.AlignmentFlag.AlignTop)  # beside a value of several lines
            title.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.MinimumExpanding)
            form.addRow(title, self._values[row])
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        for widget in (self.load, self.unload, self.remove, self._copy):
            buttons.addWidget(widget)
        buttons.addStretch(1)
        self._confirmation = QWidget()
        question = QVBoxLayout(self._confirmation)
        question.setContentsMargins(0, 0, 0, 0)
        question.setSpacing(8)
        question.addWidget(self._question)
        answers = QHBoxLayout()
        answers.setSpacing(8)
        answers.addWidget(self.confirm)
        answers.addWidget(self.keep)
        answers.addStretch(1)
        question.addLayout(answers)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 24, 24, 24)
        layout.setSpacing(16)
        layout.addWidget(self._name)
        layout.addWidget(self._problem)
        layout.addLayout(form)
        layout.addLayout(buttons)
        layout.addWidget(self._confirmation)


def _values(entry: "ModelEntry") -> tuple[str, ...]:
    return (
        entry.architecture or UNKNOWN,
        parameters(entry.parameters),
        entry.quantization or UNKNOWN,
        size(entry.bytes),
        f"{count(entry.context)} tokens" if entry.context else UNKNOWN,
        entry.draft.name if entry.draft else "none",
        # a path has no spaces to break at: offer some places
        str(entry.path).replace("/", "/\u200b").replace("\\", "\\\u200b"),
    )


def _choices(ready: Ready | None, drafting: Drafting | None) -> tuple[str, ...]:
    """What the engine says that it does; both halves of a choice that may make it slower or less exact."""
    if ready is None:
        return ("",) * len(ENGINE_ROWS)
    layers = f", {ready.gpu_layers} of {ready.num_layers + 1} layers on the GPU" if ready.gpu_layers else ""
    threads = "1 thread" if ready.threads == 1 else f"{ready.threads} threads"
    cache = f"{ready.kv_type_k} keys, {ready.kv_type_v} values, {count(ready.context)} tokens"
    guesses = "\n".join(sources(drafting)) if drafting else ""
    return f"{ready.device}{layers}, {threads}, drafts: {ready.draft}", cache, _adapters(ready.adapters), guesses


def _adapters(adapters: tuple[Adapter, ...]) -> str:
    return "\n".join(f"{adapter.path.name} × {adapter.scale:g}" for adapter in adapters)
