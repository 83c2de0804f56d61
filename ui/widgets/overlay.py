"""Notes that lie over a page in a column at its right: nothing moves under a hand because one comes or goes."""

from enum import Enum

from PySide6.QtCore import QEvent, QObject, QPoint, QRect, Signal
from PySide6.QtGui import QCursor
from PySide6.QtWidgets import QVBoxLayout, QWidget

MAX_WIDTH = 480
MARGIN = 16  # to the edges of the page
SPACING = 8


class Edge(Enum):
    TOP = "top"
    BOTTOM = "bottom"


class Overlay(QWidget):
    """As high as what it holds, hidden while that is nothing. It begins at its edge of the page, or at the other one
    where the mouse is; what does not fit waits until there is room, the newest first."""

    resized = Signal(int)  # its height, 0 while it is hidden

    def __init__(self, edge: Edge = Edge.TOP):
        super().__init__()
        self._home = self._edge = edge
        self._notes: list[QWidget] = []  # the oldest first
        self._gaps: list[QWidget] = []  # where some have been, as long as the mouse is over the others
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(SPACING)
        self.hide()

    def lie_over(self, page: QWidget) -> None:
        self.setParent(page)
        page.installEventFilter(self)

    def add_note(self, note: QWidget) -> None:
        self._notes.append(note)
        if len(self._notes) == 1:
            self._choose_edge(note)
        # away from the edge, so that the others stay where they are
        self._column.insertWidget(self._column.count() if self._edge is Edge.TOP else 0, note)
        self._place()
        if len(self._notes) > 1 and note.geometry().contains(self._mouse()):
            self._turn()

    def take_note(self, note: QWidget) -> None:
        """Away; whoever gave it deletes it."""
        if note not in self._notes:
            return
        self._notes.remove(note)
        if self._notes and self.rect().contains(self._mouse()):
            self._leave_gap(note)  # or another would come under the mouse, and get the next click
        self._column.removeWidget(note)
        note.hide()
        self._place()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize:
            self._place()
        return super().eventFilter(watched, event)

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.LayoutRequest:  # a note has got more to say
            self._place()
        elif event.type() == QEvent.Type.Leave:
            self._close_gaps()
        return super().event(event)

    def _place(self) -> None:
        page = self.parentWidget()
        if page is None:
            return
        width = min(MAX_WIDTH, page.width() - 2 * MARGIN)
        self._fit(width, page.height() - 2 * MARGIN)
        height = self._height(width) if self._notes else 0
        self.setGeometry(self._rect(page, width, height, self._edge))
        self.setVisible(bool(self._notes))
        if self._notes:
            self.raise_()
        self._column.activate()
        self.resized.emit(height)

    def _fit(self, width: int, room: int) -> None:
        """Show as many as there is room for."""
        for note in self._notes:
            note.show()
        for note in self._notes[:-1]:
            if self._height(width) <= room:
                break
            note.hide()

    def _height(self, width: int) -> int:
        return max(self._column.totalHeightForWidth(width), self._column.totalMinimumSize().height())

    def _rect(self, page: QWidget, width: int, height: int, edge: Edge) -> QRect:
        top = MARGIN if edge is Edge.TOP else page.height() - height - MARGIN
        return QRect(page.width() - width - MARGIN, top, width, height)

    def _choose_edge(self, note: QWidget) -> None:
        page, self._edge = self.parentWidget(), self._home
        if page is None:
            return
        width = min(MAX_WIDTH, page.width() - 2 * MARGIN)
        height = max(note.heightForWidth(width), note.sizeHint().height())
        mouse = page.mapFromGlobal(QCursor.pos())
        other = Edge.BOTTOM if self._home is Edge.TOP else Edge.TOP
        home, away = (self._rect(page, width, height, edge).contains(mouse) for edge in (self._home, other))
        self._edge = other if home and not away else self._home

    def _turn(self) -> None:
        """To the other edge, in the other order, so that the oldest stays next to it."""
        self._edge = Edge.BOTTOM if self._edge is Edge.TOP else Edge.TOP
        self._close_gaps()
        for note in self._notes:
            self._column.removeWidget(note)
            self._column.insertWidget(self._column.count() if self._edge is Edge.TOP else 0, note)
        self._place()

    def _leave_gap(self, note: QWidget) -> None:
        gap = QWidget()
        gap.setFixedHeight(note.height())
        self._column.insertWidget(self._column.indexOf(note), gap)
        gap.show()  # else it has no place before the event loop runs
        self._gaps.append(gap)

    def _close_gaps(self) -> None:
        gaps, self._gaps = self._gaps, []
        for gap in gaps:
            self._column.removeWidget(gap)
            gap.hide()
            gap.deleteLater()
        if gaps:
            self._place()

    def _mouse(self) -> QPoint:
        return self.mapFromGlobal(QCursor.pos())
