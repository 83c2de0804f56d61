"""The picture: one figure of all runs over time, from zero. Drawn by hand, reachable by keys."""

from datetime import datetime
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFocusEvent, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QWidget

from ui.bench.moments import Moment, Series, series
from ui.lab.axis import Axis
from ui.theme import Theme

if TYPE_CHECKING:
    from app.bench.history import Run

LEFT, TOP, RIGHT, BOTTOM = 64, 16, 24, 52  # around the area of the points
RADIUS, REACH = 5.0, 18.0  # of a point, and of the mouse
LEGEND_ROW, MAX_LEGEND = 20, 4
COLORS = ("accent", "info_text", "warning_text", "error_text", "success_text", "muted")
EMPTY = "Measure a model, and its speed is drawn here over time and builds."
RIGHT_SIDE = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


class HistoryPlot(QWidget):
    chosen = Signal(object)  # Run | None: what the mouse or the keys are at

    def __init__(self, theme: Theme):
        super().__init__()
        self._theme = theme
        self._series: list[Series] = []
        self._moments: list[Moment] = []  # by time
        self._index: int | None = None
        self._unit = ""
        self.setMinimumSize(360, 180)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("Runs over time")
        theme.changed.connect(self.update)
        self._describe()

    def show_runs(self, runs: "list[Run]", key: str, unit: str) -> None:
        """key: of a figure (app.bench.rows)."""
        self._series, self._unit = series(runs, key), unit
        self._moments = sorted((moment for each in self._series for moment in each.moments), key=lambda m: m.time)
        self._index = None
        self._describe()
        self.update()

    @property
    def selected(self) -> Moment | None:
        return self._moments[self._index] if self._index is not None else None

    def place(self, moment: Moment, value: float | None = None) -> QPointF:
        """Where it is drawn, in the widget. value: another than its median."""
        area = self._area()
        height = self._up().place(moment.value if value is None else value)
        return QPointF(
            area.left() + self._across().place(moment.time) * area.width(), area.bottom() - height * area.height()
        )

    def sizeHint(self) -> QSize:
        return QSize(640, 260)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(self.font())
        if not self._moments:
            painter.setPen(QColor(self._theme.palette.muted))
            painter.drawText(QRectF(self.rect()), Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, EMPTY)
            return
        self._paint_axes(painter)
        for number, each in enumerate(self._series):
            self._paint_series(painter, each, self._color(number))
        self._paint_legend(painter)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        at = event.position()
        distances = [((self.place(moment) - at).manhattanLength(), i) for i, moment in enumerate(self._moments)]
        distance, index = min(distances, default=(REACH, 0))
        self._select(index if distance < REACH else None)

    def leaveEvent(self, event: QEvent) -> None:
        if not self.hasFocus():
            self._select(None)
        super().leaveEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        if self._index is None and self._moments:
            self._select(len(self._moments) - 1)
        super().focusInEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Left and right go from run to run, by time."""
        step = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(Qt.Key(event.key()))
        if step is None or not self._moments:
            super().keyPressEvent(event)
            return
        start = self._index if self._index is not None else -1 if step > 0 else len(self._moments)
        self._select(min(max(start + step, 0), len(self._moments) - 1))

    def _select(self, index: int | None) -> None:
        if index != self._index:
            self._index = index
            self._describe()
            self.update()
            self.chosen.emit(self.selected.run if self.selected else None)

    def _describe(self) -> None:
        count = len(self._moments)
        whole = f"{count} runs. Left and right go from one to the next." if count else EMPTY
        self.setAccessibleDescription(self.selected.text if self.selected else whole)

    def _area(self) -> QRectF:
        legend = LEGEND_ROW * min(MAX_LEGEND, len(self._series))
        return QRectF(self.rect()).adjusted(LEFT, TOP, -RIGHT, -BOTTOM - legend)

    def _across(self) -> Axis:
        return Axis.around([moment.time for moment in self._moments])

    def _up(self) -> Axis:
        """From zero: half as high is half as fast."""
        return Axis(0.0, 1.1 * max(moment.high for moment in self._moments) or 1.0)

    def _color(self, number: int) -> QColor:
        return QColor(getattr(self._theme.palette, COLORS[number % len(COLORS)]))

    def _paint_axes(self, painter: QPainter) -> None:
        area, colors, up = self._area(), self._theme.palette, self._up()
        for value in up.ticks(4):
            y = area.bottom() - up.place(value) * area.height()
            painter.setPen(QPen(QColor(colors.border if value == 0 else colors.line), 1))
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
            painter.setPen(QColor(colors.muted))
            painter.drawText(QRectF(0, y - 10, LEFT - 8, 20), RIGHT_SIDE, f"{value:,.4g}")
        first, last = (datetime.fromtimestamp(self._moments[at].time) for at in (0, -1))
        written = "%d %b %Y" if first.date() != last.date() else "%H:%M"
        painter.setPen(QColor(colors.muted))
        ends = [(self.place(self._moments[0]).x(), first)]
        if self.place(self._moments[-1]).x() - ends[0][0] > 100:
            ends.append((self.place(self._moments[-1]).x(), last))
        for x, when in ends:
            box = QRectF(x - 60, area.bottom() + 6, 120, 20)
            painter.drawText(box, Qt.AlignmentFlag.AlignHCenter, when.strftime(written))

    def _paint_series(self, painter: QPainter, each: Series, color: QColor) -> None:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(color, 1.5))
        painter.drawPolyline(QPolygonF([self.place(moment) for moment in each.moments]))
        for moment in each.moments:
            painter.setPen(QPen(color, 1.5))
            painter.drawLine(self.place(moment, moment.low), self.place(moment, moment.high))
            is_selected = moment is self.selected
            is_busy = moment.run.figures.is_busy  # hollow, so that it is told apart without words
            painter.setBrush(QColor(self._theme.palette.canvas) if is_busy else color)
            painter.setPen(QPen(QColor(self._theme.palette.text) if is_selected else color, 2 if is_selected else 1.5))
            radius = RADIUS + (2 if is_selected else 0)
            painter.drawEllipse(self.place(moment), radius, radius)

    def _paint_legend(self, painter: QPainter) -> None:
        colors = self._theme.palette
        top = self._area().bottom() + 30
        shown = self._series[:MAX_LEGEND]
        for number, each in enumerate(shown):
            y = top + number * LEGEND_ROW
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(self._color(number))
            painter.drawEllipse(QPointF(LEFT + 5, y + 10), 4, 4)
            painter.setPen(QColor(colors.text))
            more = len(self._series) - MAX_LEGEND
            name = f"{each.name}, and {more} more" if more > 0 and number == MAX_LEGEND - 1 else each.name
            box = QRectF(LEFT + 16, y, self.width() - LEFT - RIGHT - 16, LEGEND_ROW)
            words = painter.fontMetrics().elidedText(name, Qt.TextElideMode.ElideRight, int(box.width()))
            painter.drawText(box, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, words)
