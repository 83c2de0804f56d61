"""Lines over the last ten minutes, drawn by hand in less than a millisecond."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from ui.performance.tape import Point, Tape
from ui.theme import Theme

LEFT, TOP, BOTTOM = 4.0, 6.0, 6.0  # around the lines
SCALE_WIDTH = 64.0  # for the values beside them
HEIGHT = 96
PIXELS = 3  # of a point: finer is not seen
STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
FILL = 0.16
SCALE = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


@dataclass(frozen=True, slots=True)
class Line:
    """name: of the figure. color: of the palette. is_filled: down to zero."""

    name: str
    words: str
    color: str = "accent"
    is_filled: bool = False


class Plot(QWidget):
    """write: a value as it stands beside the lines. limit: the figure that is the highest one; None: what was seen."""

    def __init__(
        self,
        theme: Theme,
        tape: Tape,
        lines: Sequence[Line],
        write: Callable[[float], str],
        limit: str | None = None,
    ):
        super().__init__()
        self._theme = theme
        self._tape = tape
        self._lines = lines
        self._write = write
        self._limit = limit
        self._scale_end = 1.0
        self._drawn: list[tuple[Line, QPolygonF, QPolygonF]] = []  # each with what lies under it
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(HEIGHT)
        theme.changed.connect(self.update)

    def sizeHint(self) -> QSize:
        return QSize(320, HEIGHT)

    def refresh(self) -> None:
        """What is drawn is worked out once for each sample, and not for each time it is painted."""
        area = self._area()
        pieces = [self._tape.lines(line.name, int(area.width() / PIXELS)) for line in self._lines]
        self._scale_end = self._top(pieces)
        self._drawn = [
            (line, *_shapes(area, self._scale_end, piece))
            for line, found in zip(self._lines, pieces, strict=True)
            for piece in found
        ]
        self.update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.refresh()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        painter = QPainter(self)
        area = self._area()
        self._paint_scale(painter, area, self._scale_end)
        for line, points, under in self._drawn:
            self._paint_line(painter, line, points, under)

    def _area(self) -> QRectF:
        return QRectF(LEFT, TOP, max(1.0, self.width() - LEFT - SCALE_WIDTH), self.height() - TOP - BOTTOM)

    def _top(self, pieces: Sequence[Sequence[Sequence[Point]]]) -> float:
        if self._limit and (limit := self._tape.last(self._limit)):
            return limit
        return round_up(max((value for found in pieces for piece in found for _, value in piece), default=0.0))

    def _paint_scale(self, painter: QPainter, area: QRectF, top: float) -> None:
        colors = self._theme.palette
        for value in (0.0, top / 2, top):
            y = round(area.bottom() - value / top * area.height()) + 0.5
            painter.setPen(QColor(colors.border if value == 0 else colors.line))
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
        painter.setPen(QColor(colors.muted))
        for value in (top / 2, top):
            y = area.bottom() - value / top * area.height()
            painter.drawText(QRectF(area.right(), y - 9, SCALE_WIDTH - 4, 18), SCALE, self._write(value))

    def _paint_line(self, painter: QPainter, line: Line, points: QPolygonF, under: QPolygonF) -> None:
        color = QColor(getattr(self._theme.palette, line.color))
        if line.is_filled:
            shade = QColor(color)
            shade.setAlphaF(FILL)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(shade)
            painter.drawPolygon(under)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(color, 1))
        painter.drawPolyline(points)
        painter.drawPolyline(points.translated(0, 0.6))  # two thin lines take a tenth of what a wider one takes
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)


def _shapes(area: QRectF, top: float, piece: Sequence[Point]) -> tuple[QPolygonF, QPolygonF]:
    """The line, and what lies between it and zero."""
    left, bottom, width, height = area.left(), area.bottom(), area.width(), area.height() / top
    points = [QPointF(left + along * width, bottom - min(value, top) * height) for along, value in piece]
    if len(points) == 1:
        points.append(points[0] + QPointF(1, 0))  # one second of an answer is seen
    corners = [QPointF(points[-1].x(), bottom), QPointF(points[0].x(), bottom)]
    return QPolygonF(points), QPolygonF([*points, *corners])


def round_up(value: float) -> float:
    """To a number that reads well; 1 for nothing."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next((power * step for step in STEPS if power * step >= value), power * 10)
