"""The engine's pulse at the window's foot. Shows; what is not known takes no room."""

import time
from collections.abc import Callable

from PySide6.QtCore import QSize, Qt, QTimer
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QWidget

from app.conversation import Turn
from app.inference.engine_handle import EngineHandle
from app.telemetry import EngineFigures, Sample, Telemetry
from backends.protocol import Output, Ready, Stats, Timings
from ui.engine_desk import EngineDesk
from ui.figures import UNKNOWN, count, rate, reuse, seconds, sources
from ui.strip.figure import Figure
from ui.strip.sparkline import Sparkline
from ui.strip.words import gpu_state, gpu_tooltip, ram, speed_lines, vram
from ui.theme import Theme
from ui.widgets.labels import label

TEXT_MS = 250
HEIGHT = 56
MARGIN, SPACING = 16, 24
SPEED = "Tokens per second over the last second, of all answers of this model; of the last answer when idle"
FIRST = "From asking to the first token of the last answer"
REUSED = "Prompt tokens that the prefix cache already held"
CONTEXT = "Tokens that the engine holds while it answers, of those that fit; when idle, those of the last answer"
DRAFTED = "Tokens drafted ahead, and how many of them the model accepted"


class LiveStrip(QWidget):
    def __init__(
        self, desk: EngineDesk, telemetry: Telemetry, theme: Theme, clock: Callable[[], float] = time.monotonic
    ):
        super().__init__()
        self._desk = desk
        self._telemetry = telemetry
        self._clock = clock
        self._handle: EngineHandle | None = None  # whose figures these are
        self._is_running = False
        self._timings: Timings | None = None
        self._base: Stats | None = None  # the engine's totals when the answer began
        self._sample: Sample | None = None
        self._last_rate: float | None = None
        self.setProperty("kind", "strip")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setFixedHeight(HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Live figures")
        self.speed = Figure("Speed", SPEED)
        self.sparkline = Sparkline(theme, "Tokens per second, recent curve")
        self.notice = label("", "caption", wraps=True)  # why it is slower than usual
        self.notice.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.first = Figure("First token", FIRST)
        self.reused = Figure("Prompt reused")
        self.drafted = Figure("Drafts accepted")
        self.context = Figure("Context")
        self.ram = Figure("Memory")
        self.vram = Figure("GPU memory")
        self.gpu = Figure("GPU")
        # the first is kept longest where there is not room for all
        self._figures = (self.speed, self.context, self.vram, self.ram, self.first, self.reused, self.drafted, self.gpu)
        self._timer = QTimer(self, interval=TEXT_MS, singleShot=True)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(MARGIN, 0, MARGIN, 0)
        layout.setSpacing(SPACING)
        for widget in (self.speed, self.sparkline, self.first, self.reused, self.drafted):
            layout.addWidget(widget)
        layout.addWidget(self.notice, 1)
        for widget in (self.context, self.ram, self.vram, self.gpu):
            layout.addWidget(widget)
        self.speed.setMinimumWidth(80)

        self._timer.timeout.connect(self._tick)
        desk.changed.connect(self._schedule)
        self._show()

    def begin(self) -> None:
        """An answer has been asked for."""
        self._is_running = True
        self._timings = self._last_rate = None
        self._base = self._stats
        self._schedule()

    def advance(self, output: Output) -> None:
        self._timings = output.timings or self._timings
        self._schedule()

    def end(self, turn: Turn) -> None:
        self._is_running = False
        self._timings = turn.timings or self._timings
        self._schedule()

    def take_sample(self, sample: Sample) -> None:
        self._sample = sample
        self._schedule()

    def minimumSizeHint(self) -> QSize:
        return QSize(0, HEIGHT)  # figures give way, the window need not

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    @property
    def _stats(self) -> Stats | None:
        return self._desk.snapshot.stats if self._desk.snapshot else None

    @property
    def _ready(self) -> Ready | None:
        return self._desk.snapshot.ready if self._desk.snapshot else None

    def _schedule(self) -> None:
        if not self._timer.isActive():
            self._timer.start()

    def _tick(self) -> None:
        self._follow_desk()
        figures = self._telemetry.engine(self._handle.name) if self._handle else None
        is_busy = self._is_running or bool(figures and figures.num_running)
        if figures and figures.answer_rate is not None:
            self._last_rate = figures.answer_rate
        if is_busy:
            self.sparkline.add(figures.answer_rate or 0.0 if figures else 0.0)
            self._timer.start()
        self._show(figures, is_busy)

    def _follow_desk(self) -> None:
        """What was said of another model is not true of this one."""
        if self._desk.handle is not self._handle:
            self._handle = self._desk.handle
            self._timings = self._base = self._last_rate = None
            self.sparkline.clear()

    def _show(self, figures: EngineFigures | None = None, is_busy: bool = False) -> None:
        timings, stats = self._timings, self._stats
        sentence = str(stats.processor or "") if stats else ""
        shortage = str(stats.cells) if stats else ""
        self.notice.setText(" ".join(filter(None, (sentence, shortage))))
        self.notice.setToolTip(self.notice.text())  # a narrow window shows its beginning
        self.speed.set(rate(self._speed(figures, is_busy)), "\n".join([SPEED, *speed_lines(figures), sentence]).strip())
        self.first.set(seconds(timings.first_token_ms) if timings else UNKNOWN)
        reused = _part(timings.cache_n, timings.cache_n + timings.prompt_n) if timings else UNKNOWN
        self.reused.set(reused, "\n".join([REUSED, *_reuse_lines(timings)]))
        learnt = ["So far:", *sources(stats.drafting)] if stats else []
        self.drafted.set(self._drafted(timings, stats), "\n".join([DRAFTED, *learnt]))
        self.context.set(self._context(stats), "\n".join([CONTEXT, *_cell_lines(stats)]))
        self._show_machine(stats)
        self._fit()

    def _speed(self, figures: EngineFigures | None, is_busy: bool) -> float | None:
        if is_busy:
            return figures.answer_rate if figures else None
        own = self._timings.predicted_per_second if self._timings else 0.0
        return own or self._last_rate

    def _drafted(self, timings: Timings | None, stats: Stats | None) -> str:
        if self._is_running and stats and self._base and self._base.num_steps <= stats.num_steps:
            return _part(stats.num_accepted - self._base.num_accepted, stats.num_drafted - self._base.num_drafted)
        return _part(timings.draft_accepted_n, timings.draft_n) if timings else UNKNOWN

    def _context(self, stats: Stats | None) -> str:
        """What is decoded now; when idle, what the last answer took."""
        ready = self._ready
        if ready is None or not ready.generates:
            return UNKNOWN
        if self._is_running and stats:
            return _part(min(stats.cells.used, ready.context), ready.context)  # other answers have cells of their own
        last = self._timings
        return _part(last.cache_n + last.prompt_n + last.predicted_n if last else 0, ready.context)

    def _show_machine(self, stats: Stats | None) -> None:
        sample, ready = self._sample, self._ready
        caption, value, tooltip = ram(sample, stats)
        self.ram.set(value, tooltip, caption)
        is_on_gpu = ready is None or ready.gpu_layers > 0  # of what this model does not use, nothing is said
        caption, value, tooltip = vram(sample, stats)
        self.vram.set(value if is_on_gpu else UNKNOWN, tooltip, caption)
        gpu = sample.gpus[0] if sample and sample.gpus and is_on_gpu else None
        self.gpu.set(gpu_state(gpu) if gpu else UNKNOWN, gpu_tooltip(gpu) if gpu else "")

    def _fit(self) -> None:
        """What is known, as far as there is room."""
        self.sparkline.setVisible(self.sparkline.has_values)
        room = self.width() - 2 * MARGIN
        if self.sparkline.has_values:
            room -= self.sparkline.width() + SPACING
        for figure in self._figures:
            width = figure.sizeHint().width() + SPACING if figure.is_known else 0
            figure.setVisible(figure.is_known and width <= room)
            room -= width if width <= room else 0


def _reuse_lines(timings: Timings | None) -> list[str]:
    if timings is None:
        return []
    reason = timings.cache_miss_text
    return [f"Last answer: {reuse(timings)}", *([f"Why not more: {reason}"] if reason else [])]


def _cell_lines(stats: Stats | None) -> list[str]:
    if stats is None:
        return []
    cells = stats.cells
    limit = "" if cells.allocated == cells.limit else f"; it grows with the conversations, up to {count(cells.limit)}"
    shortage = [str(cells)] if cells.is_short else []
    return [f"KV cache: {count(cells.used)} of {count(cells.allocated)} cells in use by answers{limit}", *shortage]


def _part(part: int, whole: int) -> str:
    return f"{count(part)} / {count(whole)}" if whole else "none"
