"""A picture of points, of which the mouse or the keys choose one."""

from collections.abc import Sequence
from typing import Generic, TypeVar

from PySide6.QtCore import QEvent, QPointF, Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent, QMouseEvent
from PySide6.QtWidgets import QWidget

from ui.theme import Theme

REACH = 18.0  # of the mouse
STEPS = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}

Point = TypeVar("Point")


class PointPlot(QWidget, Generic[Point]):
    """Left and right go from point to point. Whoever draws it says where they are and how one is described."""

    chosen = Signal(object)  # what the chosen point is of; None: none is chosen
    first = 0  # which point is chosen as the keys come to it

    def __init__(self, theme: Theme, name: str):
        super().__init__()
        self._theme = theme
        self._points: Sequence[Point] = ()
        self._index: int | None = None
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(name)
        theme.changed.connect(self.update)

    @property
    def selected(self) -> Point | None:
        return self._points[self._index] if self._index is not None else None

    def place(self, point: Point) -> QPointF:
        """Where it is drawn, in the widget."""
        raise NotImplementedError

    def _subject(self, point: Point) -> object:
        """What `chosen` tells of it."""
        raise NotImplementedError

    def _describe(self) -> None:
        """For who does not see it."""
        raise NotImplementedError

    def _show(self, points: Sequence[Point]) -> None:
        self._points, self._index = points, None
        self._describe()
        self.update()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        at = event.position()
        distances = [((self.place(point) - at).manhattanLength(), i) for i, point in enumerate(self._points)]
        distance, index = min(distances, default=(REACH, 0))
        self._select(index if distance < REACH else None)

    def leaveEvent(self, event: QEvent) -> None:
        if not self.hasFocus():
            self._select(None)
        super().leaveEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        if self._index is None and self._points:
            self._select(self.first % len(self._points))
        super().focusInEvent(event)
        self.update()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        step = STEPS.get(Qt.Key(event.key()))
        if step is None or not self._points:
            super().keyPressEvent(event)
            return
        start = self._index if self._index is not None else -1 if step > 0 else len(self._points)
        self._select(min(max(start + step, 0), len(self._points) - 1))

    def _select(self, index: int | None) -> None:
        if index != self._index:
            self._index = index
            self._describe()
            self.update()
            self.chosen.emit(self._subject(self.selected) if self.selected else None)
