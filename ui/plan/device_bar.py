"""One device as a bar: what the model takes of it, up to what it may have, and what other programs have."""

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QBrush, QColor, QPainter, QPainterPath, QPaintEvent, QPen
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from ui.figures import size
from ui.plan.parts import DeviceView
from ui.theme import Theme
from ui.widgets.flow_layout import FlowLayout
from ui.widgets.labels import label, restyle

HEIGHT, ROOM = 20, 4  # of the bar, and for the mark above and below it
RADIUS = 6
SWATCH = 10
OTHERS, FREE = "Other programs", "Free"
MARK = "The mark is what a model may have. What is free beyond it is left to other programs."


class DeviceBar(QWidget):
    def __init__(self, theme: Theme):
        super().__init__()
        self._name = label("", "strong")
        self._figure = label("", "caption")
        self._bar = _Bar(theme)
        self._legend = QWidget()
        self._entries = FlowLayout(self._legend, 12)
        self._theme = theme
        self._swatches: list[_Swatch] = []
        head = QHBoxLayout()
        head.addWidget(self._name)
        head.addStretch(1)
        head.addWidget(self._figure)
        self._bar.setToolTip(MARK)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(head)
        layout.addWidget(self._bar)
        layout.addWidget(self._legend)

    def show_device(self, view: DeviceView) -> None:
        self._name.setText(view.name)
        self._figure.setText(_figure(view))
        restyle(self._figure, "kind", "caption" if view.is_enough else "problem")
        self._bar.show_device(view)
        entries = [(part.title, part.num_bytes, part.color) for part in view.parts]
        entries += [(OTHERS, view.others, ""), (FREE, max(0, view.total - view.others - view.taken), "line")]
        self._show_legend(entries)
        words = ", ".join(f"{title} {size(num_bytes)}" for title, num_bytes, _ in entries)
        self.setAccessibleName(f"Memory of {view.name}: {_figure(view)}")
        self.setAccessibleDescription(words)

    def _show_legend(self, entries: list[tuple[str, int, str]]) -> None:
        while len(self._swatches) < len(entries):
            self._swatches.append(_Swatch(self._theme))
            self._entries.addWidget(self._swatches[-1])
        for number, swatch in enumerate(self._swatches):
            swatch.setVisible(number < len(entries))
            if number < len(entries):
                swatch.show_entry(*entries[number])
        self._legend.updateGeometry()


class _Bar(QWidget):
    def __init__(self, theme: Theme):
        super().__init__()
        self._theme = theme
        self._view: DeviceView | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(HEIGHT + 2 * ROOM)
        theme.changed.connect(self.update)

    def sizeHint(self) -> QSize:
        return QSize(320, HEIGHT + 2 * ROOM)

    def show_device(self, view: DeviceView) -> None:
        self._view = view
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        view = self._view
        if view is None:
            return
        painter, colors = QPainter(self), self._theme.palette
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area = QRectF(0.5, ROOM, self.width() - 1.0, HEIGHT)
        scale = area.width() / max(1, view.total, view.taken)
        outline = QPainterPath()
        outline.addRoundedRect(area, RADIUS, RADIUS)
        painter.setClipPath(outline)
        painter.fillRect(area, QColor(colors.line))
        others = QRectF(area.right() - view.others * scale, area.top(), view.others * scale, HEIGHT)
        painter.fillRect(others, hatched(colors.muted))
        left = area.left()
        for part in view.parts:
            width = part.num_bytes * scale
            painter.fillRect(QRectF(left, area.top(), width, HEIGHT), QColor(getattr(colors, part.color)))
            left += width
            painter.fillRect(QRectF(left - 0.5, area.top(), 1, HEIGHT), QColor(colors.surface))
        limit = area.left() + view.usable * scale
        if not view.is_enough:  # what there is no room for
            painter.fillRect(QRectF(limit, area.top(), left - limit, HEIGHT), hatched(colors.surface))
        painter.setClipping(False)
        painter.setPen(QPen(QColor(colors.text if view.is_enough else colors.error_text), 2))
        painter.drawLine(round(limit), 1, round(limit), HEIGHT + 2 * ROOM - 1)
        painter.end()


class _Swatch(QWidget):
    """A color, and what it stands for."""

    def __init__(self, theme: Theme):
        super().__init__()
        self._theme = theme
        self._color = ""
        self._text = label("", "caption")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(SWATCH + 6, 0, 0, 0)
        layout.addWidget(self._text)
        theme.changed.connect(self.update)

    def show_entry(self, title: str, num_bytes: int, color: str) -> None:
        """color: empty for a hatched ground."""
        self._color = color
        self._text.setText(f"{title} {size(num_bytes)}")
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        painter, colors = QPainter(self), self._theme.palette
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QColor(colors.border))
        painter.setBrush(QColor(getattr(colors, self._color)) if self._color else hatched(colors.muted))
        painter.drawRoundedRect(QRectF(0.5, (self.height() - SWATCH) / 2, SWATCH, SWATCH), 2, 2)
        painter.end()


def hatched(color: str) -> QBrush:
    return QBrush(QColor(color), Qt.BrushStyle.BDiagPattern)


def _figure(view: DeviceView) -> str:
    if view.is_enough:
        return f"{size(view.taken)} of {size(view.usable)} that it may have"
    return f"Needs {size(view.taken)}, may have {size(view.usable)}"
