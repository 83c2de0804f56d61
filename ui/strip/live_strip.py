"""The engine's pulse at the window's foot. Shows; what is not known is "n/a"."""

import time
from collections.abc import Callable

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from app.conversation import Turn
from app.telemetry import MemorySample
from backends.protocol import Output, Stats, Timings
from ui.engine_desk import EngineDesk
from ui.figures import UNKNOWN, count, rate, reuse, seconds, size, sources
from ui.strip.rate import RateWindow
from ui.strip.sparkline import Sparkline
from ui.theme import Theme
from ui.widgets.labels import label

TEXT_MS = 250
HEIGHT = 56
SPEED = "Tokens per second over the last second; of the last answer when idle"
REUSED = "Prompt tokens that the prefix cache already held"
CONTEXT = "Tokens that the engine holds while it answers, of those that fit; when idle, those of the last answer"
DRAFTED = "Tokens drafted ahead, and how many of them the model accepted"


class Figure(QWidget):
    """A caption over a value."""

    def __init__(self, caption: str, tooltip: str):
        super().__init__()
        self._caption = caption
        self._value = label(UNKNOWN, "value")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addStretch(1)
        layout.addWidget(label(caption, "caption"))
        layout.addWidget(self._value)
        layout.addStretch(1)
        self.setToolTip(tooltip)
        self.set(UNKNOWN)

    @property
    def value(self) -> str:
        return self._value.text()

    def set(self, value: str) -> None:
        if value != self._value.text():
            self._value.setText(value)
        self.setAccessibleName(f"{self._caption}: {value}")


class LiveStrip(QWidget):
    def __init__(self, desk: EngineDesk, theme: Theme, clock: Callable[[], float] = time.monotonic):
        super().__init__()
        self._desk = desk
        self._clock = clock
        self._window = RateWindow()
        self._is_running = False
        self._timings: Timings | None = None
        self._base: Stats | None = None  # the engine's totals when the answer began
        self._memory: MemorySample | None = None
        self.setProperty("kind", "strip")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setFixedHeight(HEIGHT)
        self.setAccessibleName("Live figures")
        self.speed = Figure("Speed", SPEED)
        self.sparkline = Sparkline(theme, "Tokens per second, recent curve")
        self.notice = label("", "caption", wraps=True)  # why it is slower than usual
        self.notice.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.first = Figure("First token", "From asking to the first token of the last answer")
        self.reused = Figure("Prompt reused", REUSED)
        self.drafted = Figure("Drafts accepted", DRAFTED)
        self.context = Figure("Context", CONTEXT)
        self.ram = Figure("Memory", "")
        self.vram = Figure("GPU memory", "")
        self._timer = QTimer(self, interval=TEXT_MS, singleShot=True)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(16, 0, 16, 0)
        layout.setSpacing(24)
        for widget in (self.speed, self.sparkline, self.first, self.reused, self.drafted):
            layout.addWidget(widget)
        layout.addWidget(self.notice, 1)
        for widget in (self.context, self.ram, self.vram):
            layout.addWidget(widget)
        self.speed.setMinimumWidth(80)

        self._timer.timeout.connect(self._tick)
        desk.changed.connect(self._schedule)
        self._show()

    def begin(self) -> None:
        """An answer has been asked for."""
        self._is_running = True
        self._timings = None
        self._base = self._stats
        self._window.restart(self._clock())
        self._schedule()

    def advance(self, output: Output) -> None:
        self._window.add(self._clock(), output.num_tokens)
        self._timings = output.timings or self._timings
        self._schedule()

    def end(self, turn: Turn) -> None:
        self._is_running = False
        self._timings = turn.timings or self._timings
        self._schedule()

    def take_memory(self, sample: MemorySample) -> None:
        self._memory = sample
        self._schedule()

    @property
    def _stats(self) -> Stats | None:
        return self._desk.snapshot.stats if self._desk.snapshot else None

    def _schedule(self) -> None:
        if not self._timer.isActive():
            self._timer.start()

    def _tick(self) -> None:
        if self._is_running:
            self.sparkline.add(self._window.rate(self._clock()) or 0.0)
            self._timer.start()
        self._show()

    def _show(self) -> None:
        self.speed.set(rate(self._speed()))
        timings, stats = self._timings, self._stats
        self.first.set(seconds(timings.first_token_ms) if timings else UNKNOWN)
        self.reused.set(_part(timings.cache_n, timings.cache_n + timings.prompt_n) if timings else UNKNOWN)
        self.reused.setToolTip("\n".join([REUSED, *_reuse_lines(timings)]))
        self.drafted.set(self._drafted(timings, stats))
        learnt = ["So far:", *sources(stats.drafting)] if stats else []
        self.drafted.setToolTip("\n".join([DRAFTED, *learnt]))
        self.context.set(self._context(stats))
        self.context.setToolTip("\n".join([CONTEXT, *_cell_lines(stats)]))
        self._show_processor(str(stats.processor or "") if stats else "")
        self._show_memory(stats)

    def _speed(self) -> float | None:
        if self._is_running:
            return self._window.rate(self._clock())
        return (self._timings.predicted_per_second or None) if self._timings else None

    def _drafted(self, timings: Timings | None, stats: Stats | None) -> str:
        if self._is_running and stats and self._base and self._base.num_steps <= stats.num_steps:
            return _part(stats.num_accepted - self._base.num_accepted, stats.num_drafted - self._base.num_drafted)
        return _part(timings.draft_accepted_n, timings.draft_n) if timings else UNKNOWN

    def _context(self, stats: Stats | None) -> str:
        """What is decoded now; when idle, what the last answer took."""
        ready = self._desk.snapshot.ready if self._desk.snapshot else None
        if ready is None:
            return UNKNOWN
        if self._is_running and stats:
            return _part(min(stats.cells.used, ready.context), ready.context)  # other answers have cells of their own
        last = self._timings
        return _part(last.cache_n + last.prompt_n + last.predicted_n if last else 0, ready.context)

    def _show_processor(self, sentence: str) -> None:
        if sentence != self.notice.text():
            self.notice.setText(sentence)
            self.speed.setToolTip("\n".join(filter(None, (SPEED, sentence))))

    def _show_memory(self, stats: Stats | None) -> None:
        memory = self._memory
        engine = size(stats.rss_bytes) if stats else UNKNOWN
        machine = f"{size(memory.ram_used)} of {size(memory.ram_total)}" if memory else UNKNOWN
        self.ram.set(engine if stats else machine)
        app = size(memory.app_rss) if memory else UNKNOWN
        self.ram.setToolTip(
            f"Engine process (resident): {engine}\nSlipstream with its engines: {app}\nWhole machine: {machine}"
        )
        self.vram.set(self._vram(stats, memory))
        self.vram.setToolTip(self._vram_tooltip(stats, memory))

    def _vram(self, stats: Stats | None, memory: MemorySample | None) -> str:
        if memory and memory.vram_used is not None:
            total = f" of {size(memory.vram_total)}" if memory.vram_total else ""
            return f"{size(memory.vram_used)}{total}"
        if stats and stats.devices:
            device = stats.devices[0]
            return f"{size(device.total - device.free)} of {size(device.total)}"
        return UNKNOWN

    def _vram_tooltip(self, stats: Stats | None, memory: MemorySample | None) -> str:
        lines = [f"All programs on {memory.gpu_name or 'the GPU'}; source: {memory.source}"] if memory else []
        for device in stats.devices if stats else ():
            lines.append(f"Engine's own figure, {device.name}: {size(device.free)} free of {size(device.total)}")
        if stats and not stats.devices:
            lines.append("This engine runs on the processor and holds no GPU memory")
        return "\n".join(lines)


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
    return [f"KV cache: {count(cells.used)} of {count(cells.allocated)} cells in use by answers{limit}"]


def _part(part: int, whole: int) -> str:
    return f"{count(part)} / {count(whole)}" if whole else "none"
