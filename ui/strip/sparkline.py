"""A small curve of the last values."""

from collections import deque

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QLinearGradient, QPainter, QPainterPath, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from ui.theme import Theme

NUM_VALUES = 60


class Sparkline(QWidget):
    def __init__(self, theme: Theme, name: str):
        super().__init__()
        self._theme = theme
        self._values: deque[float] = deque(maxlen=NUM_VALUES)
        self.setFixedSize(96, 32)
        self.setAccessibleName(name)
        theme.changed.connect(self.update)

    @property
    def has_values(self) -> bool:
        return bool(self._values)

    def clear(self) -> None:
        self._values.clear()
        self.update()

    def add(self, value: float) -> None:
        self._values.append(value)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colors = self._theme.palette
        area = QRectF(self.rect()).adjusted(1, 4, -1, -4)
        painter.setPen(QPen(QColor(colors.border), 1))
        painter.drawLine(area.bottomLeft(), area.bottomRight())
        if len(self._values) < 2:
            return
        line = self._line(area)
        self._fill(painter, line, area)
        painter.setPen(QPen(QColor(colors.accent), 1.5, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
        painter.drawPath(line)

    def _line(self, area: QRectF) -> QPainterPath:
        top = max(*self._values, 1.0)
        step = area.width() / (NUM_VALUES - 1)
        first = area.right() - step * (len(self._values) - 1)
        points = [
            QPointF(first + step * i, area.bottom() - value / top * area.height())
            for i, value in enumerate(self._values)
        ]
        path = QPainterPath(points[0])
        for point in points[1:]:
            path.lineTo(point)
        return path

    def _fill(self, painter: QPainter, line: QPainterPath, area: QRectF) -> None:
        under = QPainterPath(line)
        under.lineTo(area.bottomRight())
        under.lineTo(line.elementAt(0).x, area.bottom())
        shade = QLinearGradient(area.topLeft(), area.bottomLeft())
        color = QColor(self._theme.palette.accent)
        color.setAlphaF(0.28)
        shade.setColorAt(0, color)
        color.setAlphaF(0.02)
        shade.setColorAt(1, color)
        painter.fillPath(under, shade)
