"""The steps of a job in a row: those done with a mark, the current one filled, those to come hollow."""

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from ui.palette import Palette
from ui.theme import CAPTION, Theme

HEIGHT = 24
DOT = 10
GAP = 8  # between a dot and its word
BETWEEN = 24  # between steps


class StepTrack(QWidget):
    def __init__(self, theme: Theme, steps: tuple[str, ...]):
        super().__init__()
        self._theme = theme
        self._steps = steps
        self._current = 0
        self._is_done = False
        self.setFixedHeight(HEIGHT)
        font = self.font()
        font.setPixelSize(CAPTION)
        self.setFont(font)
        theme.changed.connect(self._recolor)

    def show_step(self, current: int, is_done: bool) -> None:
        """current: index into the steps. is_done: all of them are."""
        if (current, is_done) != (self._current, self._is_done):
            self._current, self._is_done = current, is_done
            self.setAccessibleName(f"Step {current + 1} of {len(self._steps)}: {self._steps[current]}")
            self.update()

    def _recolor(self, _colors: Palette) -> None:
        self.update()

    def sizeHint(self) -> QSize:
        words = sum(self._metrics(True).horizontalAdvance(step) for step in self._steps)
        return QSize(2 + words + len(self._steps) * (DOT + GAP) + (len(self._steps) - 1) * BETWEEN, HEIGHT)

    def minimumSizeHint(self) -> QSize:
        return QSize(0, HEIGHT)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        x = 1  # a circle's line is as much wider than the circle
        for number, step in enumerate(self._steps):
            is_past = number < self._current or self._is_done
            is_now = number == self._current and not self._is_done
            self._dot(painter, QRectF(x, (HEIGHT - DOT) / 2, DOT, DOT), is_past, is_now)
            x += DOT + GAP
            x += self._word(painter, x, step, is_now) + BETWEEN

    def _dot(self, painter: QPainter, place: QRectF, is_past: bool, is_now: bool) -> None:
        colors = self._theme.palette
        painter.setPen(QPen(QColor(colors.accent if is_past or is_now else colors.border), 1.5))
        painter.setBrush(QColor(colors.accent) if is_past or is_now else Qt.BrushStyle.NoBrush)
        painter.drawEllipse(place)
        if is_past:
            painter.setPen(QPen(QColor(colors.on_accent), 1.5))
            left, top = place.x(), place.y()
            painter.drawPolyline([QPointF(left + x, top + y) for x, y in ((2.5, 5.2), (4.4, 7.2), (7.6, 3.2))])

    def _word(self, painter: QPainter, x: int, step: str, is_now: bool) -> int:
        colors = self._theme.palette
        font = self.font()
        font.setBold(is_now)
        painter.setFont(font)
        painter.setPen(QColor(colors.accent_text if is_now else colors.muted))
        width = self._metrics(is_now).horizontalAdvance(step)
        painter.drawText(QRectF(x, 0, width + 2, HEIGHT), Qt.AlignmentFlag.AlignVCenter, step)
        return width

    def _metrics(self, is_bold: bool) -> QFontMetrics:
        font = self.font()
        font.setBold(is_bold)
        return QFontMetrics(font)
