"""The picture: one figure of all runs over time, from zero. Drawn by hand, reachable by keys."""

from datetime import datetime
from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF

from ui.bench.moments import Moment, Series, series
from ui.lab.axis import Axis
from ui.lab.point_plot import PointPlot
from ui.theme import Theme

if TYPE_CHECKING:
    from app.bench.history import Run

LEFT, TOP, RIGHT, BOTTOM = 64, 16, 24, 52  # around the area of the points
RADIUS = 5.0  # of a point
LEGEND_ROW, MAX_LEGEND = 20, 4
COLORS = ("accent", "info_text", "warning_text", "error_text", "success_text", "muted")
EMPTY = "Measure a model, and its speed is drawn here over time and builds."
RIGHT_SIDE = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


class HistoryPlot(PointPlot[Moment]):
    """`chosen` tells a Run."""

    first = -1

    def __init__(self, theme: Theme):
        super().__init__(theme, "Runs over time")
        self._series: list[Series] = []
        self._unit = ""
        self.setMinimumSize(360, 180)
        self._describe()

    def show_runs(self, runs: "list[Run]", key: str, unit: str) -> None:
        """key: of a figure (app.bench.rows)."""
        self._series, self._unit = series(runs, key), unit
        self._show(sorted((moment for each in self._series for moment in each.moments), key=lambda m: m.time))

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
        if not self._points:
            painter.setPen(QColor(self._theme.palette.muted))
            painter.drawText(QRectF(self.rect()), Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, EMPTY)
            return
        self._paint_axes(painter)
        for number, each in enumerate(self._series):
            self._paint_series(painter, each, self._color(number))
        self._paint_legend(painter)

    def _subject(self, point: Moment) -> object:
        return point.run

    def _describe(self) -> None:
        count = len(self._points)
        whole = f"{count} runs. Left and right go from one to the next." if count else EMPTY
        self.setAccessibleDescription(self.selected.text if self.selected else whole)

    def _area(self) -> QRectF:
        legend = LEGEND_ROW * min(MAX_LEGEND, len(self._series))
        return QRectF(self.rect()).adjusted(LEFT, TOP, -RIGHT, -BOTTOM - legend)

    def _across(self) -> Axis:
        return Axis.around([moment.time for moment in self._points])

    def _up(self) -> Axis:
        """From zero: half as high is half as fast."""
        return Axis(0.0, 1.1 * max(moment.high for moment in self._points) or 1.0)

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
        first, last = (datetime.fromtimestamp(self._points[at].time) for at in (0, -1))
        written = "%d %b %Y" if first.date() != last.date() else "%H:%M"
        painter.setPen(QColor(colors.muted))
        ends = [(self.place(self._points[0]).x(), first)]
        if self.place(self._points[-1]).x() - ends[0][0] > 100:
            ends.append((self.place(self._points[-1]).x(), last))
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
