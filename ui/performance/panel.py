"""One card of the page: what is drawn, and what of it is so now."""

from collections.abc import Callable, Sequence

from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout

from ui.performance.plot import Line, Plot
from ui.performance.tape import Tape
from ui.theme import Theme
from ui.widgets.labels import label


class Panel(QFrame):
    """write: a value in words. limit: the figure that is the highest value; is_scale: it is the scale's end, too."""

    def __init__(
        self,
        theme: Theme,
        tape: Tape,
        title: str,
        lines: Sequence[Line],
        write: Callable[[float], str],
        limit: str | None = None,
        is_scale: bool = True,
    ):
        super().__init__()
        self._theme = theme
        self._tape = tape
        self._title = title
        self._lines = lines
        self._write = write
        self._limit = limit
        self.setProperty("kind", "card")
        self.plot = Plot(theme, tape, lines, write, limit if is_scale else None)
        self._value = label("", "value")
        self._names = [label("", "caption") for _ in lines] if len(lines) > 1 else []
        head = QHBoxLayout()
        head.addWidget(label(title, "strong"), 1)
        head.addWidget(self._value)
        legend = QHBoxLayout()
        legend.setSpacing(12)
        for name in self._names:
            legend.addWidget(name)
        legend.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 12, 16, 12)
        layout.setSpacing(6)
        layout.addLayout(head)
        layout.addWidget(self.plot)
        if len(lines) > 1:
            layout.addLayout(legend)
        theme.changed.connect(self._color_names)
        self._color_names()

    @property
    def is_known(self) -> bool:
        return any(self._tape.knows(line.name) for line in self._lines)

    @property
    def value(self) -> str:
        return self._value.text()

    def refresh(self) -> None:
        self._value.setText(self._now())
        for name, line in zip(self._names, self._lines, strict=False):
            value = self._tape.last(line.name)
            name.setVisible(self._tape.knows(line.name))
            name.setText(f"● {line.words}{'' if value is None else f' {self._write(value)}'}")
        self.setAccessibleName(f"{self._title}: {self._value.text() or 'nothing now'}")
        self.plot.refresh()

    def _now(self) -> str:
        """Of the first line; of several without a whole the legend tells."""
        if len(self._lines) > 1 and not self._limit:
            return ""
        value = self._tape.last(self._lines[0].name)
        limit = self._tape.last(self._limit) if self._limit else None
        if value is None:
            return ""
        return f"{self._write(value)} of {self._write(limit)}" if limit else self._write(value)

    def _color_names(self) -> None:
        for name, line in zip(self._names, self._lines, strict=False):
            name.setStyleSheet(f"color: {getattr(self._theme.palette, line.color)}")
