"""What each model takes up, as an area; colors say whose it is. Drawn by hand, reachable by keys."""

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFocusEvent, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from app.library.origin import Origin
from ui.figures import size
from ui.palette import Palette
from ui.plain import plain_tip
from ui.theme import BODY, CAPTION, Theme

if TYPE_CHECKING:
    from app.library.entry import ModelEntry
    from app.library.usage import Share

# the ground of an origin's areas, light and dark; the palette's text reads on each at 4.5:1 or better
GROUNDS = {
    Origin.MANAGED: ("#bfe3dd", "#17493f"),
    Origin.LM_STUDIO: ("#d9d2f3", "#3a3166"),
    Origin.OLLAMA: ("#d5dde3", "#37434c"),
    Origin.JAN: ("#f3d9c4", "#5a3a1e"),
    Origin.HF_CACHE: ("#f5e6ae", "#4f431a"),
    Origin.FOLDER: ("#c9def2", "#1f3f5f"),
}
MAX_AREAS = 200  # the largest; smaller ones would be specks
GAP = 2.0
Area = tuple["ModelEntry", int, QRectF]


class Treemap(QWidget):
    chosen = Signal(object)  # ModelEntry, by a click or the return key

    def __init__(self, theme: Theme):
        super().__init__()
        self._theme = theme
        self._models: list[tuple[ModelEntry, int]] = []
        self._areas: list[Area] = []
        self._at: int | None = None
        self.setMinimumSize(200, 120)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("Disk use by model")
        theme.changed.connect(self.update)

    def sizeHint(self) -> QSize:
        return QSize(560, 320)

    def show_shares(self, shares: "list[Share]") -> None:
        models = [(entry, num_bytes) for share in shares for entry, num_bytes in share.models if num_bytes]
        self._models = sorted(models, key=lambda pair: -pair[1])[:MAX_AREAS]
        self._arrange()
        self._describe()

    def resizeEvent(self, event: QEvent) -> None:  # noqa: ARG002
        self._arrange()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colors = self._theme.palette
        for number, (entry, num_bytes, rect) in enumerate(self._areas):
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(ground(entry.origin, colors))
            painter.drawRoundedRect(rect, 4, 4)
            if number == self._at:
                painter.setPen(QPen(QColor(colors.accent), 2))
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.drawRoundedRect(rect.adjusted(1, 1, -1, -1), 4, 4)
            _write(painter, rect, entry, size(num_bytes), colors)
        painter.end()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        at = next((n for n, (_, _, rect) in enumerate(self._areas) if rect.contains(event.position())), None)
        self._go_to(at)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self.mouseMoveEvent(event)
        self._choose()

    def leaveEvent(self, event: QEvent) -> None:  # noqa: ARG002
        if not self.hasFocus():
            self._go_to(None)

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        if self._areas and self._at is None:
            self._go_to(0)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        steps = {Qt.Key.Key_Right: 1, Qt.Key.Key_Down: 1, Qt.Key.Key_Left: -1, Qt.Key.Key_Up: -1}
        if event.key() in steps and self._areas:
            self._go_to(((self._at or 0) + steps[Qt.Key(event.key())]) % len(self._areas))
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self._choose()
        else:
            super().keyPressEvent(event)

    def _choose(self) -> None:
        if self._at is not None:
            self.chosen.emit(self._areas[self._at][0])

    def _go_to(self, at: int | None) -> None:
        if at == self._at:
            return
        self._at = at
        area = self._areas[at] if at is not None else None
        self.setToolTip(plain_tip(f"{area[0].full_name}\n{area[0].origin.label}, {size(area[1])}") if area else "")
        self._describe()
        self.update()

    def _describe(self) -> None:
        """The area that is looked at, else the largest ones, for who cannot see them."""
        if self._at is not None:
            entry, num_bytes, _ = self._areas[self._at]
            self.setAccessibleDescription(f"{entry.full_name}, {entry.origin.label}, {size(num_bytes)}")
        else:
            largest = [f"{entry.full_name}, {size(num_bytes)}" for entry, num_bytes in self._models[:10]]
            self.setAccessibleDescription("The largest: " + "; ".join(largest))

    def _arrange(self) -> None:
        self._at = None
        rects = squarified([num_bytes for _, num_bytes in self._models], QRectF(self.rect()))
        self._areas = [
            (entry, num_bytes, rect.adjusted(0, 0, -GAP, -GAP))
            for (entry, num_bytes), rect in zip(self._models, rects, strict=True)
        ]
        self.update()


def ground(origin: Origin, colors: Palette) -> QColor:
    return QColor(GROUNDS[origin][colors.is_dark])


def squarified(values: list[int], rect: QRectF) -> list[QRectF]:
    """A rectangle for each value (all above 0, falling), as square as they can be (Bruls, Huizing, van Wijk 2000)."""
    result: list[QRectF] = []
    left = QRectF(rect)
    total = float(sum(values))
    at = 0
    while at < len(values) and left.width() > 0 and left.height() > 0:
        scale = left.width() * left.height() / total
        side = min(left.width(), left.height())
        count = 1
        while at + count < len(values) and _worst(values[at : at + count + 1], side, scale) <= _worst(
            values[at : at + count], side, scale
        ):
            count += 1
        row = values[at : at + count]
        result += _laid(row, left, scale)
        thick = sum(row) * scale / side
        left = left.adjusted(thick, 0, 0, 0) if left.width() >= left.height() else left.adjusted(0, thick, 0, 0)
        total -= sum(row)
        at += count
    return result + [QRectF()] * (len(values) - len(result))


def _worst(row: list[int], side: float, scale: float) -> float:
    """How far the least square of them is from a square."""
    area = sum(row) * scale
    return max(side * side * max(row) * scale / area**2, area**2 / (side * side * min(row) * scale))


def _laid(row: list[int], left: QRectF, scale: float) -> list[QRectF]:
    is_column = left.width() >= left.height()
    thick = sum(row) * scale / (left.height() if is_column else left.width())
    at, result = 0.0, []
    for value in row:
        length = value * scale / thick
        if is_column:
            result.append(QRectF(left.left(), left.top() + at, thick, length))
        else:
            result.append(QRectF(left.left() + at, left.top(), length, thick))
        at += length
    return result


def _write(painter: QPainter, rect: QRectF, entry: "ModelEntry", num_bytes: str, colors: Palette) -> None:
    inner = rect.adjusted(8, 6, -8, -6)
    if inner.width() < 48 or inner.height() < 16:
        return
    painter.setPen(QColor(colors.text))
    caption = "  ·  ".join(filter(None, (entry.quantization, num_bytes)))
    for text, pixels, offset in ((entry.name, BODY, 0), (caption, CAPTION, 18)):
        if inner.height() < offset + 16:
            return
        font = painter.font()
        font.setPixelSize(pixels)
        painter.setFont(font)
        elides = Qt.TextElideMode.ElideMiddle if offset == 0 else Qt.TextElideMode.ElideRight
        shown = painter.fontMetrics().elidedText(text, elides, int(inner.width()))
        painter.drawText(inner.adjusted(0, offset, 0, 0), Qt.AlignmentFlag.AlignTop, shown)
