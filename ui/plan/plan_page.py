"""What a model takes of this machine before it is loaded: bars, sliders, other choices, and the button that loads."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from app.planner.plan import Alternative
from app.planner.verdict import Fits, Place, about
from backends.protocol import KVType
from ui.figures import count, size
from ui.plan.device_bar import DeviceBar
from ui.plan.dial import Dial
from ui.plan.other_row import OtherRow
from ui.plan.parts import view_of
from ui.plan.plan_desk import PlanDesk
from ui.plan.stops import PARALLEL, contexts
from ui.settings.settings_page import KV_TYPES
from ui.theme import Theme
from ui.widgets.labels import button, label, restyle, rule
from ui.widgets.page_column import WIDE, PageColumn

if TYPE_CHECKING:
    from app.library.entry import ModelEntry
    from app.planner.plan import Plan
    from app.planner.study import Study

LEAD = "What a model takes of this machine, before it is loaded."
TONES = {Fits.YES: "good", Fits.WITH: "strong", Fits.SLOW: "problem", Fits.NO: "problem"}
COMMON = "by the speeds of common machines; “slipstream plan” measures this one"
KEPT = "Every load of this model is so."
TITLES = {kind: title for title, kind in KV_TYPES}


class PlanPage(QWidget):
    left = Signal()
    load_wanted = Signal(object, object)  # ModelEntry, EngineOptions

    def __init__(self, desk: PlanDesk, theme: Theme):
        super().__init__()
        self._desk = desk
        self._theme = theme
        self._others_shown: tuple[Alternative, ...] = ()
        self.back = button("Back", "quiet")
        self.verdict = label("", "strong", wraps=True)
        self._outlook = label("", "muted", wraps=True)
        self.problem = label("", "problem", wraps=True)
        self.bars: list[DeviceBar] = []
        self.context = Dial(
            "Context", "Tokens that a chat remembers. More take memory in proportion.", may_be_automatic=True
        )
        self.kv_type = Dial("KV cache", "Smaller types hold more context, at a small cost in quality.")
        self.gpu_layers = Dial("Layers on the GPU", "More are faster, until its memory is full.", may_be_automatic=True)
        self.parallel = Dial("Parallel answers", "Each has a context of its own, where there is room for it.")
        self.best = button("Best for this machine")
        self.keep = button("Save as defaults", name="Save as this model's defaults")
        self.forget = button("Forget its defaults", "link")
        self.load = button("Load", "primary")
        self._note = label("", "caption", wraps=True)
        self._column = PageColumn("Plan", LEAD, WIDE)
        self._lay_out()
        self._connect()

    def show_entry(self, entry: "ModelEntry") -> None:
        self.problem.clear()
        self._desk.open(entry)
        self.back.setFocus(Qt.FocusReason.OtherFocusReason)

    def _connect(self) -> None:
        desk = self._desk
        desk.changed.connect(self._refresh)
        desk.failed.connect(self._show_problem)
        desk.kept.connect(self._refresh)
        desk.refused.connect(self._note.setText)
        self.back.clicked.connect(self.left)
        self.context.picked.connect(lambda tokens: desk.change(context=tokens))
        self.kv_type.picked.connect(lambda kind: desk.change(kv_type_k=kind, kv_type_v=kind))
        self.gpu_layers.picked.connect(lambda layers: desk.change(gpu_layers=layers))
        self.parallel.picked.connect(lambda number: desk.change(parallel=number))
        self.best.clicked.connect(lambda: desk.choose(desk.best))
        self.keep.clicked.connect(desk.keep)
        self.forget.clicked.connect(desk.forget)
        self.load.clicked.connect(lambda: self.load_wanted.emit(desk.entry, desk.wanted))

    def _show_problem(self, text: str) -> None:
        self.problem.setText(text)
        self._refresh()

    def _refresh(self) -> None:
        entry, study, plan = self._desk.entry, self._desk.study, self._desk.plan
        if entry is None:
            return
        self._column.title.setText(entry.full_name)
        has_failed = bool(self.problem.text())
        self.problem.setVisible(has_failed)
        for widget in (self._memory, self._choices, self._footer):
            widget.setVisible(plan is not None and not has_failed)
        self.verdict.setVisible(not has_failed)
        self._outlook.setVisible(plan is not None and not has_failed)
        self._other_card.setVisible(plan is not None and bool(plan.alternatives) and not has_failed)
        if study is None or plan is None:
            self.verdict.setText("" if has_failed else "Looking at the model and at this machine…")
            restyle(self.verdict, "kind", "muted")
            return
        self.verdict.setText(f"{plan.verdict.sentence}.")
        restyle(self.verdict, "kind", TONES[plan.verdict.fits])
        self._outlook.setText(_outlook(plan))
        self._show_bars(study, plan)
        self._show_dials(study, plan)
        self._show_others(plan.alternatives)
        self._show_actions(plan)

    def _show_bars(self, study: "Study", plan: "Plan") -> None:
        free = (study.machine.ram_free, *(gpu.free for gpu in study.machine.gpus))
        views = [view_of(room, num_bytes) for room, num_bytes in zip(plan.rooms, free, strict=True)]
        while len(self.bars) < len(views):
            self.bars.append(DeviceBar(self._theme))
            self._devices.addWidget(self.bars[-1])
        for number, bar in enumerate(self.bars):
            bar.setVisible(number < len(views))
            if number < len(views):
                bar.show_device(views[number])

    def _show_dials(self, study: "Study", plan: "Plan") -> None:
        options = self._desk.options
        self.context.show_stops(contexts(study.model.context))
        tokens = options.context or plan.layout.context
        self.context.show_value(tokens, f"{count(tokens)} tokens", is_automatic=options.context is None)
        kinds = tuple(TITLES) if study.may_quantize else (KVType.F16,)
        self.kv_type.show_stops(tuple(dict.fromkeys((*kinds, options.kv_type_k))))
        self.kv_type.show_value(options.kv_type_k, _kinds(options.kv_type_k, options.kv_type_v))
        self.gpu_layers.setVisible(bool(study.machine.gpus))
        self._gpu_rule.setVisible(bool(study.machine.gpus))
        self.gpu_layers.show_stops(range(study.num_places + 1))
        layers = min(plan.spread.gpu_layers, study.num_places)
        all_of = f"{layers} of {study.num_places}"
        self.gpu_layers.show_value(layers, all_of, is_automatic=options.gpu_layers is None)
        self.parallel.show_stops(PARALLEL)
        self.parallel.show_value(options.parallel, str(options.parallel))

    def _show_others(self, others: tuple[Alternative, ...]) -> None:
        if others == self._others_shown:
            return
        self._others_shown = others
        while (item := self._others.takeAt(0)) is not None:
            if widget := item.widget():
                widget.hide()
                widget.deleteLater()
        for other in others:
            row = OtherRow(other)
            row.chosen.connect(self._desk.use)
            self._others.addWidget(row)

    def _show_actions(self, plan: "Plan") -> None:
        verdict, desk = plan.verdict, self._desk
        is_disk = verdict.place is Place.DISK
        self.load.setText("Load from the disk" if is_disk else "Load anyway" if verdict.fits is Fits.NO else "Load")
        self.load.setAccessibleName(self.load.text())
        restyle(self.load, "kind", "primary" if verdict.runs else "")
        self.best.setEnabled(desk.options != desk.best)
        self.keep.setEnabled(not desk.is_kept)
        self.forget.setVisible(desk.has_defaults)
        self._note.setText(_consent(plan) if is_disk else KEPT if desk.has_defaults and desk.is_kept else "")

    def _lay_out(self) -> None:
        self._memory, self._devices = _card(20)
        self._choices, self._other_card = self._make_choices(), self._make_others()
        self._footer = self._make_footer()
        rows = self._column.rows
        for widget in (self.verdict, self._outlook, self.problem):
            rows.addWidget(widget)
        for card in (self._memory, self._choices, self._other_card):
            rows.addWidget(card)
            card.hide()
        rows.addStretch(1)
        top = QHBoxLayout()
        top.setContentsMargins(24, 12, 24, 0)
        top.addWidget(self.back)
        top.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(top)
        layout.addWidget(self._column, 1)
        layout.addWidget(self._footer)

    def _make_choices(self) -> QFrame:
        card, rows = _card(12)
        head = QHBoxLayout()
        head.addWidget(label("Choices", "section"))
        head.addStretch(1)
        head.addWidget(self.best)
        rows.addLayout(head)
        self._gpu_rule = rule()
        for dial, above in (
            (self.context, rule()),
            (self.kv_type, rule()),
            (self.gpu_layers, self._gpu_rule),
            (self.parallel, rule()),
        ):
            rows.addWidget(above)
            rows.addWidget(dial)
        return card

    def _make_others(self) -> QFrame:
        card, rows = _card(12)
        rows.addWidget(label("What else could be chosen", "section"))
        self._others = QVBoxLayout()
        self._others.setSpacing(12)
        rows.addLayout(self._others)
        return card

    def _make_footer(self) -> QWidget:
        """Always in sight."""
        footer = QWidget()
        row = QHBoxLayout()
        row.setContentsMargins(32, 12, 32, 12)
        row.setSpacing(8)
        row.addWidget(self._note, 1)
        for widget in (self.forget, self.keep, self.load):
            row.addWidget(widget)
        layout = QVBoxLayout(footer)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(rule())
        layout.addLayout(row)
        footer.hide()
        return footer


def _outlook(plan: "Plan") -> str:
    speed = about(plan.speed.tokens)
    told = f"{speed[0].upper()}{speed[1:]}"
    return f"{told}, {COMMON}." if not plan.speed.is_measured else f"{told}."


def _consent(plan: "Plan") -> str:
    return f"{size(plan.from_disk)} of the weights are read from the disk again for each token."


def _kinds(keys: KVType, values: KVType) -> str:
    return TITLES.get(keys, keys.value) if keys == values else f"{keys} keys, {values} values"


def _card(spacing: int) -> tuple[QFrame, QVBoxLayout]:
    card = QFrame()
    card.setProperty("kind", "card")
    layout = QVBoxLayout(card)
    layout.setContentsMargins(24, 16, 24, 16)
    layout.setSpacing(spacing)
    return card, layout
