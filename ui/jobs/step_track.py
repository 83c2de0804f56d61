"""The steps of a job in a row: those done with a mark, the current one filled, or crossed where it failed, those to
come hollow."""

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from ui.palette import Palette
from ui.theme import CAPTION, Theme

HEIGHT = 24
DOT = 10
GAP = 8  # between a dot and its word
BETWEEN = 24  # between steps
Lines = tuple[tuple[tuple[float, float], ...], ...]  # from the upper left corner of a dot
CHECK_MARK: Lines = (((2.5, 5.2), (4.4, 7.2), (7.6, 3.2)),)
CROSS: Lines = (((1.5, 1.5), (8.5, 8.5)), ((1.5, 8.5), (8.5, 1.5)))


class StepTrack(QWidget):
    def __init__(self, theme: Theme, steps: tuple[str, ...]):
        super().__init__()
        self._theme = theme
        self._steps = steps
        self._current = 0
        self._is_done = False
        self._has_failed = False
        self.setFixedHeight(HEIGHT)
        font = self.font()
        font.setPixelSize(CAPTION)
        self.setFont(font)
        theme.changed.connect(self._recolor)

    def show_step(self, current: int, is_done: bool, has_failed: bool = False) -> None:
        """current: index into the steps. is_done: all of them are. has_failed: the current one."""
        if (current, is_done, has_failed) != (self._current, self._is_done, self._has_failed):
            self._current, self._is_done, self._has_failed = current, is_done, has_failed
            failed = ", failed" if has_failed else ""
            self.setAccessibleName(f"Step {current + 1} of {len(self._steps)}: {self._steps[current]}{failed}")
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
        if is_now and self._has_failed:
            self._draw_lines(painter, place, colors.error_text, CROSS)
            return
        painter.setPen(QPen(QColor(colors.accent if is_past or is_now else colors.border), 1.5))
        painter.setBrush(QColor(colors.accent) if is_past or is_now else Qt.BrushStyle.NoBrush)
        painter.drawEllipse(place)
        if is_past:
            self._draw_lines(painter, place, colors.on_accent, CHECK_MARK)

    def _draw_lines(self, painter: QPainter, place: QRectF, color: str, lines: Lines) -> None:
        painter.setPen(QPen(QColor(color), 1.5))
        for line in lines:
            painter.drawPolyline([place.topLeft() + QPointF(x, y) for x, y in line])

    def _word(self, painter: QPainter, x: int, step: str, is_now: bool) -> int:
        colors = self._theme.palette
        font = self.font()
        font.setBold(is_now)
        painter.setFont(font)
        now = colors.error_text if self._has_failed else colors.accent_text
        painter.setPen(QColor(now if is_now else colors.muted))
        width = self._metrics(is_now).horizontalAdvance(step)
        painter.drawText(QRectF(x, 0, width + 2, HEIGHT), Qt.AlignmentFlag.AlignVCenter, step)
        return width

    def _metrics(self, is_bold: bool) -> QFontMetrics:
        font = self.font()
        font.setBold(is_bold)
        return QFontMetrics(font)
