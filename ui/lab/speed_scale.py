"""Speed as a color: from amber, slow, to teal, fast. Two hues that color-blind eyes tell apart as well."""

from dataclasses import dataclass

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QLinearGradient, QPainter

from ui.palette import Palette

SLOW_LIGHT, SLOW_DARK = "#e0a100", "#f2c14e"
BAR_WIDTH, BAR_HEIGHT = 90.0, 8.0


@dataclass(frozen=True, slots=True)
class SpeedScale:
    slowest: float
    fastest: float
    slow: QColor
    fast: QColor
    text: QColor
    unknown: QColor

    @classmethod
    def of(cls, speeds: list[float], colors: Palette) -> "SpeedScale":
        slow = QColor(SLOW_DARK if colors.is_dark else SLOW_LIGHT)
        ends = (min(speeds, default=0.0), max(speeds, default=0.0))
        return cls(*ends, slow, QColor(colors.accent), QColor(colors.muted), QColor(colors.border))

    def color(self, speed: float | None) -> QColor:
        if speed is None:
            return self.unknown
        span = self.fastest - self.slowest
        share = (speed - self.slowest) / span if span else 1.0
        slow, fast = self.slow, self.fast
        ends = ((slow.redF(), fast.redF()), (slow.greenF(), fast.greenF()), (slow.blueF(), fast.blueF()))
        return QColor.fromRgbF(*((1 - share) * a + share * b for a, b in ends))

    def paint(self, painter: QPainter, area: QRectF) -> None:
        """The legend: a bar between its two ends' speeds, at the right of the area."""
        fastest, slowest = f"{_written(self.fastest)} tokens/s", _written(self.slowest)
        right = painter.fontMetrics().horizontalAdvance(fastest) + 8.0
        bar = QRectF(area.right() - right - BAR_WIDTH, area.center().y() - BAR_HEIGHT / 2, BAR_WIDTH, BAR_HEIGHT)
        shade = QLinearGradient(bar.topLeft(), bar.topRight())
        shade.setColorAt(0, self.slow)
        shade.setColorAt(1, self.fast)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(shade)
        painter.drawRoundedRect(bar, 4, 4)
        painter.setPen(self.text)
        middle = Qt.AlignmentFlag.AlignVCenter
        painter.drawText(area, Qt.AlignmentFlag.AlignRight | middle, fastest)
        left = QRectF(area.left(), area.top(), bar.left() - 8 - area.left(), area.height())
        painter.drawText(left, Qt.AlignmentFlag.AlignRight | middle, slowest)


def _written(speed: float) -> str:
    return f"{speed:,.0f}" if speed >= 100 else f"{speed:.3g}"
