"""What the machine and its models do: the last ten minutes, drawn. While it is hidden it does nothing."""

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent, QShowEvent
from PySide6.QtWidgets import QFrame, QGridLayout, QScrollArea, QVBoxLayout, QWidget

from app.telemetry import Sample
from app.telemetry.sample import Moment
from app.telemetry.series import figures_of
from ui.bridge import Bridge
from ui.performance.panel import Panel
from ui.performance.plot import Line
from ui.performance.tape import Tape
from ui.performance.words import celsius, engine_line, memory, percent, watts, whole
from ui.theme import Theme
from ui.widgets.labels import button, label

if TYPE_CHECKING:
    from app.services import Services

LEAD = "Speed, memory and power over the last ten minutes, of all models that are loaded."
EMPTY = "Load a model, and its speed and memory are drawn here."
TWO_COLUMNS = 760  # pixels from which on two panels stand side by side
MAX_GPUS = 4


class PerformancePage(QScrollArea):
    models_wanted = Signal()

    def __init__(self, services: "Services", bridge: Bridge, theme: Theme):
        super().__init__()
        self._services = services
        self._bridge = bridge
        self._theme = theme
        self._tape = Tape()
        self._num_columns = 0
        self._num_gpus = 0
        self._column = QWidget()
        self.panels: list[Panel] = []
        self._add(self._make_panels())
        self._engines = label("", "muted", wraps=True)
        self._empty = self._make_empty()
        self._grid = QGridLayout()
        self._lay_out()

        bridge.sampled.connect(self._take)

    @property
    def is_empty(self) -> bool:
        return not self._empty.isHidden()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._bridge.call(self._services.performance.recent, self._put, lambda _: None)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._arrange()

    def _put(self, moments: list[Moment]) -> None:
        self._tape.put(moments)
        self._refresh()

    def _take(self, sample: Sample) -> None:
        if not self.isVisible():
            return
        if sample.engines:
            self._tape.add(Moment(sample.time, figures_of(sample)))
        self._engines.setText("\n".join(map(engine_line, sample.engines)))
        self._engines.setVisible(bool(sample.engines))
        self._refresh()

    def _refresh(self) -> None:
        self._empty.setVisible(self._tape.is_empty)
        self._add_gpus()
        known = [panel.is_known for panel in self.panels]
        if known != [not panel.isHidden() for panel in self.panels]:
            for panel, is_known in zip(self.panels, known, strict=True):
                panel.setVisible(is_known)
            self._num_columns = 0
            self._arrange()
        for panel, is_known in zip(self.panels, known, strict=True):
            if is_known:
                panel.refresh()

    def _arrange(self) -> None:
        """Those that are shown, in one column or two."""
        num_columns = 2 if self.viewport().width() >= TWO_COLUMNS else 1
        if num_columns == self._num_columns:
            return
        self._num_columns = num_columns
        for panel in self.panels:
            self._grid.removeWidget(panel)
        shown = [panel for panel in self.panels if not panel.isHidden()]
        for number, panel in enumerate(shown):
            self._grid.addWidget(panel, number // num_columns, number % num_columns)
        self._grid.setColumnStretch(0, 1)
        self._grid.setColumnStretch(1, num_columns - 1)

    def _make_panels(self) -> list[Panel]:
        make = partial(Panel, self._theme, self._tape)
        return [
            make("Answers, tokens per second", [Line("answer_rate", "answers", is_filled=True)], whole),
            make("Prompts, tokens per second", [Line("prompt_rate", "prompts", "info_text", True)], whole),
            make(
                "Memory",
                [Line("ram_used", "all programs", "muted"), Line("own_ram", "Slipstream", is_filled=True)],
                memory,
                "ram_total",
            ),
            make(
                "KV cache, tokens",
                [Line("kv_used", "in use", is_filled=True), Line("kv_allocated", "allocated", "info_text")],
                whole,
                "kv_limit",
                is_scale=False,
            ),
            make(
                "Prompts reused, drafts accepted",
                [Line("cached", "of prompts"), Line("acceptance", "of drafts", "info_text")],
                percent,
            ),
        ]

    def _add_gpus(self) -> None:
        """A GPU has its panels from the first figure on."""
        names = self._tape.names()
        make = partial(Panel, self._theme, self._tape)
        while self._num_gpus < MAX_GPUS and any(name.startswith(f"gpu{self._num_gpus}_") for name in names):
            at, number = f"gpu{self._num_gpus}_", self._num_gpus
            both = [Line(f"{at}used", "all programs", "muted"), Line(f"{at}own", "Slipstream", is_filled=True)]
            new = [
                make(f"Memory of GPU {number}", both, memory, f"{at}total"),
                make(f"Load of GPU {number}", [Line(f"{at}load", "load", is_filled=True)], percent),
                make(
                    f"Power of GPU {number}", [Line(f"{at}watts", "power", is_filled=True)], watts, f"{at}watts_limit"
                ),
                make(f"Temperature of GPU {number}", [Line(f"{at}celsius", "temperature", "warning_text")], celsius),
            ]
            self._add(new)
            self._num_gpus += 1

    def _add(self, panels: list[Panel]) -> None:
        """Hidden, until a figure of theirs is known."""
        for panel in panels:
            panel.setParent(self._column)
            panel.hide()
        self.panels += panels

    def _make_empty(self) -> QFrame:
        result = QFrame()
        result.setProperty("kind", "card")
        choose = button("Choose a model", "primary")
        choose.clicked.connect(self.models_wanted)
        layout = QVBoxLayout(result)
        layout.setContentsMargins(24, 32, 24, 32)
        layout.setSpacing(16)
        words = label(EMPTY, "lead", wraps=True)
        words.setAlignment(Qt.AlignmentFlag.AlignCenter)
        layout.addWidget(words)
        layout.addWidget(choose, 0, Qt.AlignmentFlag.AlignHCenter)
        return result

    def _lay_out(self) -> None:
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._column.setProperty("kind", "transparent")
        rows = QVBoxLayout(self._column)
        rows.setContentsMargins(32, 24, 32, 24)
        rows.setSpacing(12)
        rows.addWidget(label("Performance", "title"))
        rows.addWidget(label(LEAD, "muted", wraps=True))
        rows.addWidget(self._engines)
        rows.addWidget(self._empty)
        self._grid.setSpacing(12)
        rows.addLayout(self._grid)
        rows.addStretch(1)
        self._engines.hide()
        self.setWidget(self._column)
