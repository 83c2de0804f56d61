"""The picture: quality against size, a point for each card, its speed as a color. Drawn by hand, reachable by keys."""

from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPaintEvent, QPen

from ui.figures import size
from ui.lab.axis import Axis
from ui.lab.point_plot import PointPlot
from ui.lab.points import Measure, Point, points, write
from ui.lab.speed_scale import SpeedScale
from ui.theme import Theme

if TYPE_CHECKING:
    from app.lab.card import Card

LEFT, TOP, RIGHT, BOTTOM = 76, 52, 32, 64  # around the area of the points
RADIUS = 7.0  # of a point
EXPORT_SCALE = 2
CENTER = Qt.AlignmentFlag.AlignHCenter


class QualityPlot(PointPlot[Point]):
    """`chosen` tells a Card; the points lie in order of size."""

    def __init__(self, theme: Theme):
        super().__init__(theme, "Quality against size")
        self._cards: list[Card] = []
        self._measure = Measure.DIVERGENCE
        self.setMinimumSize(420, 200)
        self._describe()

    def set_cards(self, cards: "list[Card]") -> None:
        self._cards = cards
        self._refresh()

    def set_measure(self, measure: Measure) -> None:
        self._measure = measure
        self._refresh()

    def place(self, point: Point) -> QPointF:
        """Where it is drawn, in the widget."""
        area, across, up = self._area(), self._across(), self._up()
        if point.quality is not None:
            height = up.place(point.quality)
        else:  # the original has no loss: the logarithm of that lies below everything
            height = 0.0 if self._measure is Measure.DIVERGENCE else up.place(1.0)
        return QPointF(
            area.left() + across.place(point.num_bytes) * area.width(), area.bottom() - height * area.height()
        )

    def picture(self) -> QImage:
        """For a file: twice as fine as on the screen."""
        image = QImage(self.size() * EXPORT_SCALE, QImage.Format.Format_ARGB32)
        image.setDevicePixelRatio(EXPORT_SCALE)
        image.fill(QColor(self._theme.palette.canvas))
        painter = QPainter(image)
        self._paint(painter)
        painter.end()
        return image

    def sizeHint(self) -> QSize:
        return QSize(720, 420)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        painter = QPainter(self)
        self._paint(painter)
        painter.end()

    def _refresh(self) -> None:
        self._show(points(self._cards, self._measure))

    def _subject(self, point: Point) -> object:
        return point.card

    def _describe(self) -> None:
        point = self.selected
        count = len(self._points)
        whole = f"{count} points. Left and right go from one to the next." if count else "No card has a quality yet."
        self.setAccessibleDescription(point.text(self._measure) if point else whole)

    def _area(self) -> QRectF:
        return QRectF(self.rect()).adjusted(LEFT, TOP, -RIGHT, -BOTTOM)

    def _across(self) -> Axis:
        return Axis.around([float(point.num_bytes) for point in self._points])

    def _up(self) -> Axis:
        is_logarithmic = self._measure is Measure.DIVERGENCE
        values = [point.quality for point in self._points if point.quality is not None]
        if is_logarithmic:
            return Axis.around([max(value, 1e-6) for value in values], True)
        return Axis.around([*values, 1.0])

    def _paint(self, painter: QPainter) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(self.font())
        if not any(point.quality is not None for point in self._points):
            painter.setPen(QColor(self._theme.palette.muted))
            words = "Measure two or more quantizations of a model, and they are compared here."
            painter.drawText(QRectF(self.rect()), Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, words)
            return
        self._paint_axes(painter)
        scale = SpeedScale.of([p.speed for p in self._points if p.speed is not None], self._theme.palette)
        scale.paint(painter, QRectF(self.width() - RIGHT - 260, 8, 260, 20))
        for index, point in enumerate(self._points):
            self._paint_point(painter, point, scale, index == self._index)
        self._paint_labels(painter)
        if self.selected:
            self._paint_caption(painter, self.selected)

    def _paint_axes(self, painter: QPainter) -> None:
        area, colors = self._area(), self._theme.palette
        across, up = self._across(), self._up()
        for value in up.ticks():
            y = area.bottom() - up.place(value) * area.height()
            painter.setPen(QPen(QColor(colors.line), 1))
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
            painter.setPen(QColor(colors.muted))
            right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(QRectF(0, y - 10, LEFT - 8, 20), right, write(value, self._measure))
        for value in across.ticks():
            x = area.left() + across.place(value) * area.width()
            painter.drawText(
                QRectF(x - 60, area.bottom() + 6, 120, 20), Qt.AlignmentFlag.AlignHCenter, size(int(value))
            )
        painter.setPen(QPen(QColor(colors.border), 1))
        painter.drawLine(area.bottomLeft(), area.bottomRight())
        painter.setPen(QColor(colors.text))
        painter.drawText(QRectF(12, 8, self.width() - 300, 20), Qt.AlignmentFlag.AlignLeft, self._measure.value)
        painter.drawText(
            QRectF(area.left(), area.bottom() + 30, area.width(), 20), Qt.AlignmentFlag.AlignHCenter, "Size"
        )

    def _paint_point(self, painter: QPainter, point: Point, scale: SpeedScale, is_selected: bool) -> None:
        colors, at = self._theme.palette, self.place(point)
        color = scale.color(point.speed)
        painter.setPen(QPen(QColor(colors.text if is_selected else colors.canvas), 2 if is_selected else 1.5))
        painter.setBrush(color)
        radius = RADIUS + (2 if is_selected else 0)
        if point.quality is None:  # a square, so that it is told apart without its color
            painter.drawRect(QRectF(at.x() - radius, at.y() - radius, 2 * radius, 2 * radius))
        else:
            painter.drawEllipse(at, radius, radius)

    def _paint_labels(self, painter: QPainter) -> None:
        """Above its point, or below where another label lies already."""
        painter.setPen(QColor(self._theme.palette.text))
        near = QPointF(RADIUS, RADIUS)
        taken = [QRectF(self.place(point) - near, self.place(point) + near) for point in self._points]
        for point in self._points:
            at, words = self.place(point), point.label + (" (original)" if point.quality is None else "")
            width = painter.fontMetrics().horizontalAdvance(words) + 4.0
            left = min(max(at.x() - width / 2, 4.0), self.width() - width - 4.0)
            boxes = [QRectF(left, at.y() + shift, width, 18) for shift in (-27, 9, -43, 25, -59)]
            box = next((box for box in boxes if not any(box.intersects(other) for other in taken)), boxes[0])
            taken.append(box)
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, words)

    def _paint_caption(self, painter: QPainter, point: Point) -> None:
        colors = self._theme.palette
        words = point.text(self._measure)
        box = QRectF(0, 0, min(painter.fontMetrics().horizontalAdvance(words) + 24.0, self.width() - 16.0), 28)
        box.moveCenter(QPointF(self.width() / 2, self.height() - 20))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colors.text))
        painter.drawRoundedRect(box, 6, 6)
        painter.setPen(QColor(colors.canvas))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, words)
