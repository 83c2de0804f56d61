"""What is known of one model, and what can be done with it. Removing asks here, not in a dialog."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFormLayout, QFrame, QSizePolicy, QVBoxLayout, QWidget

from app.library.entry import BASE_MODEL, EMBEDDER
from app.library.origin import Origin
from app.planner.verdict import Verdict
from backends.bounds import printable
from backends.protocol import Adapter, Drafting, Ready
from ui.figures import UNKNOWN, count, parameters, size, sources
from ui.library.library_desk import is_checkable
from ui.library.name_row import NameRow
from ui.library.note_edit import NoteEdit
from ui.library.removal_question import RemovalQuestion
from ui.widgets.copy_button import CopyButton
from ui.widgets.flow_layout import FlowLayout
from ui.widgets.labels import button, label, restyle

if TYPE_CHECKING:
    from app.library.entry import ModelEntry
    from app.library.store import Removal

FITS = "On this machine"
FILE_ROWS = ("Architecture", "Parameters", "Quantization", "Size", "Context", "From", "File", "Id")
MORE_ROWS = ("Draft model", "Image part", "Checked", FITS)  # hidden while they have nothing to say, as are the engine's
ENGINE_ROWS = ("Runs on", "KV cache", "LoRA", "Drafting")
ASKED_BY = "Write this on the port (“model”) and in commands."
ROWS = (*FILE_ROWS, *MORE_ROWS, *ENGINE_ROWS)


class ModelDetails(QFrame):
    load_clicked = Signal(object)  # ModelEntry
    plan_clicked = Signal(object)  # ModelEntry
    unload_clicked = Signal()
    remove_clicked = Signal(object)  # ModelEntry
    removed = Signal(object, object)  # ModelEntry, Removal
    verify_clicked = Signal(object)  # ModelEntry
    quantize_clicked = Signal(object)  # ModelEntry
    convert_clicked = Signal(object)  # ModelEntry: a checkpoint
    renamed = Signal(object, str)  # ModelEntry, name
    starred = Signal(object, bool)  # ModelEntry, is a favourite

    def __init__(self) -> None:
        super().__init__()
        self._entry: ModelEntry | None = None
        self.setProperty("kind", "card")
        self.name = NameRow()
        self._base = label(BASE_MODEL, "muted", wraps=True)
        self._problem = label("", "problem", wraps=True)
        self._values = {row: label("", wraps=True) for row in ROWS}
        self.note = NoteEdit()
        self.load = button("Load", "primary")
        self.plan = button("Plan…")
        self.plan.setToolTip("What it takes of this machine, and what could be chosen, before it is loaded")
        self.unload = button("Unload")
        self.quantize = button("Quantize…")
        self.convert = button("Convert to GGUF", "primary")
        self.convert.setToolTip("Writes a GGUF file into Slipstream's own folder; the checkpoint is not modified")
        self.verify = button("Check")
        self.verify.setToolTip("Reads all of it and compares its SHA-256")
        self.remove = button("Remove…")
        self.question = RemovalQuestion()
        self._copy = CopyButton(lambda: str(self._entry.path) if self._entry else "", "Copy path", says="Copy path")
        self._copy_id = CopyButton(lambda: self._entry.id if self._entry else "", "Copy id", says="Copy id")
        self._lay_out()

        self.load.clicked.connect(lambda: self.load_clicked.emit(self._entry))
        self.plan.clicked.connect(lambda: self.plan_clicked.emit(self._entry))
        self.unload.clicked.connect(self.unload_clicked)
        self.quantize.clicked.connect(lambda: self.quantize_clicked.emit(self._entry))
        self.convert.clicked.connect(lambda: self.convert_clicked.emit(self._entry))
        self.verify.clicked.connect(lambda: self.verify_clicked.emit(self._entry))
        self.remove.clicked.connect(lambda: self.remove_clicked.emit(self._entry))
        self.question.agreed.connect(lambda removal: self.removed.emit(self._entry, removal))
        self.question.declined.connect(self._keep)
        self.name.renamed.connect(lambda name: self.renamed.emit(self._entry, name))
        self.name.starred.connect(lambda is_favourite: self.starred.emit(self._entry, is_favourite))

    def show_entry(
        self,
        entry: "ModelEntry",
        is_loaded: bool,
        ready: Ready | None = None,
        drafting: Drafting | None = None,
        verdict: Verdict | None = None,
    ) -> None:
        """`ready`: what its engine chose, once it is loaded; `drafting`: what that has learnt since. `verdict`: whether
        it fits, where that is known."""
        if self._entry is None or self._entry.id != entry.id:
            self._show_question(False)
            self.name.end()
        self._entry = entry
        self.name.show_name(entry.name, entry.is_favourite)
        self.note.show_note(entry.id, entry.note)
        self._problem.setText(entry.problem or "")
        self._problem.setVisible(bool(entry.problem))
        self._base.setText(EMBEDDER if entry.is_embedder else BASE_MODEL)
        self._base.setVisible(entry.is_embedder or (ready.is_base if ready else bool(entry.is_base)))
        for row, value in zip(ROWS, (*_values(entry), *_choices(ready, drafting)), strict=True):
            self._values[row].setText(value)
        self._values[FITS].setText(verdict.sentence if verdict else "")
        restyle(self._values[FITS], "kind", "" if verdict is None or verdict.runs else "problem")
        for row in (*MORE_ROWS, *ENGINE_ROWS):
            self._form.setRowVisible(self._values[row], bool(self._values[row].text()))
        is_damaged = entry.check is not None and not entry.check.is_sound
        restyle(self._values["Checked"], "kind", "problem" if is_damaged else "")
        self.load.setVisible(not is_loaded and entry.can_chat)
        self.plan.setVisible(entry.can_chat)
        self.unload.setVisible(is_loaded)
        self.convert.setVisible(entry.is_checkpoint and entry.is_loadable)
        self.verify.setVisible(is_checkable(entry))
        self._copy_id.setVisible(entry.is_offered)
        self.quantize.setVisible(entry.is_offered and entry.origin is Origin.MANAGED)
        self.remove.setEnabled(not is_loaded)
        self.remove.setToolTip("Unload it first" if is_loaded else "")
        self.remove.setVisible(entry.origin is Origin.MANAGED and self.question.isHidden())

    def ask(self, removal: "Removal") -> None:
        """Show what would be deleted, unless the person has gone on to another model."""
        if self._entry is not None and self._entry.id == removal.entry.id:
            self.question.ask(removal)
            self._show_question(True)

    def _keep(self) -> None:
        self._show_question(False)
        self.remove.setFocus(Qt.FocusReason.OtherFocusReason)

    def _show_question(self, is_asking: bool) -> None:
        self.question.setVisible(is_asking)
        self.remove.setVisible(not is_asking)

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
        actions = QWidget()
        buttons = FlowLayout(actions, 8)
        for widget in (
            self.load,
            self.unload,
            self.plan,
            self.convert,
            self.quantize,
            self.verify,
            self.remove,
            self._copy,
            self._copy_id,
        ):
            buttons.addWidget(widget)
        self.question.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 24, 24, 24)
        layout.setSpacing(16)
        layout.addWidget(self.name)
        layout.addWidget(self._base)
        layout.addWidget(self._problem)
        layout.addWidget(actions)  # above what may become longer, or they would move under the mouse, or out of sight
        layout.addWidget(self.question)
        layout.addLayout(form)
        layout.addWidget(self.note)


def _values(entry: "ModelEntry") -> tuple[str, ...]:
    """Of FILE_ROWS and MORE_ROWS."""
    size_text = f"{size(entry.bytes)} in {len(entry.parts) + 1} parts" if entry.parts else size(entry.bytes)
    return (
        entry.architecture or UNKNOWN,
        parameters(entry.parameters),
        "safetensors checkpoint, to be converted" if entry.is_checkpoint else entry.quantization or UNKNOWN,
        size(entry.bytes) if entry.is_checkpoint else size_text,
        f"{count(entry.context)} tokens" if entry.context else UNKNOWN,
        _origin(entry),
        _breakable(str(entry.path)),
        f"{_breakable(entry.id)}\n{ASKED_BY}" if entry.is_offered else _breakable(entry.id),
        printable(entry.draft.name) if entry.draft else "",
        printable(entry.mmproj.name) if entry.mmproj else "",
        f"{entry.check.at[:10]}: {entry.check.text}" if entry.check and is_checkable(entry) else "",
        "",  # whether it fits is not the file's own
    )


def _breakable(path: str) -> str:
    """It has no spaces to break at: offer some places."""
    return printable(path).replace("/", "/\u200b").replace("\\", "\\\u200b")


def _origin(entry: "ModelEntry") -> str:
    source = f", {entry.source}" if entry.source else ""
    if entry.origin is Origin.MANAGED:
        return f"Slipstream's own folder{source}"
    return f"{entry.origin.label}{source}. Used in place, never modified"


def _choices(ready: Ready | None, drafting: Drafting | None) -> tuple[str, ...]:
    """What the engine says that it does; both halves of a choice that may make it slower or less exact."""
    if ready is None:
        return ("",) * len(ENGINE_ROWS)
    layers = f", {ready.gpu_layers} of {ready.num_layers + 1} layers on the GPU" if ready.gpu_layers else ""
    threads = "1 thread" if ready.threads == 1 else f"{ready.threads} threads"
    cache = f"{ready.kv_type_k} keys, {ready.kv_type_v} values, {count(ready.context)} tokens"
    drafts = "\n".join(sources(drafting)) if drafting else ""
    return f"{ready.device}{layers}, {threads}, drafts: {ready.draft}", cache, _adapters(ready.adapters), drafts


def _adapters(adapters: tuple[Adapter, ...]) -> str:
    return "\n".join(f"{adapter.path.name} × {adapter.scale:g}" for adapter in adapters)
