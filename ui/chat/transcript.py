"""The turns of one conversation, newest at the bottom. Follows a growing answer as long as the reader is there."""

from collections.abc import Mapping, Sequence
from functools import partial

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent, QKeySequence, QResizeEvent, QShortcut
from PySide6.QtWidgets import QFrame, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from app.conversation import Role, Turn
from app.tools.call import Call
from ui.chat.turn_widget import AnswerWidget, QuestionWidget, TurnWidget
from ui.palette import Palette
from ui.theme import Theme
from ui.widgets.labels import button

COLUMN_WIDTH = 776
SIDE = 24
BAR = 12  # the scroll bar's width in the style sheet
NEAR = 32  # pixels from the bottom that still count as being there
FIRST_TURNS = 6  # shown at once; earlier ones follow one per turn of the event loop
MAX_TURNS = 60  # then a button offers the rest


class Transcript(QScrollArea):
    try_again_clicked = Signal()
    stepped = Signal(object, int)  # as those of TurnWidget
    edited = Signal(object, str)
    deleted = Signal(object)
    tail_deleted = Signal(object)
    branched = Signal(object)
    call_decided = Signal(str, object)  # a call's id, Decision
    stop_clicked = Signal()

    def __init__(self, theme: Theme):
        super().__init__()
        self._theme = theme
        self._widgets: list[TurnWidget] = []
        self._earlier: list[Turn] = []
        self._later: list[Turn] = []  # the next one last
        self._siblings: Mapping[int, Sequence[int]] = {}
        self._is_following = True
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setAccessibleName("Conversation")
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._show_earlier = button("Show earlier messages", "small")
        self._show_earlier.hide()
        self._column = self._make_column()
        self._jump = button("Jump to latest", "chip")
        self._jump.setParent(self)
        self._jump.hide()
        self._timer = QTimer(self, interval=0)

        bar = self.verticalScrollBar()
        bar.rangeChanged.connect(self._follow)
        bar.valueChanged.connect(self._scrolled)
        self._jump.clicked.connect(self.jump_to_latest)
        self._show_earlier.clicked.connect(self._load_earlier)
        self._timer.timeout.connect(self._add_earlier)
        theme.changed.connect(self._recolor)
        for keys, num_places in (("Alt+Left", -1), ("Alt+Right", 1)):
            shortcut = QShortcut(QKeySequence(keys), self, context=Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(partial(self._step_focused, num_places))

    def widgets(self) -> list[TurnWidget]:
        return self._widgets

    def show_turns(self, turns: Sequence[Turn], running: int | None) -> None:
        """All turns of another conversation; `running` is the id of the one that still grows."""
        self._clear()
        first = max(0, len(turns) - FIRST_TURNS)
        self._earlier = list(turns[:first])
        for turn in turns[first:]:
            self.add(turn, is_running=turn.id == running)
        if self._earlier:
            self._timer.start()
        self.jump_to_latest()

    def show_path(self, turns: Sequence[Turn]) -> None:
        """Another branch of the same conversation: what both share stays where it is, and so does the reader."""
        shown = [*self._earlier, *(widget.turn for widget in self._widgets)]
        num_same = next((i for i, (old, new) in enumerate(zip(shown, turns, strict=False)) if old != new), len(shown))
        num_same = min(num_same, len(turns))
        later = list(turns[num_same:])
        if num_same < len(self._earlier) or len(later) > MAX_TURNS:
            self.show_turns(turns, None)
            return
        self._later = []
        self._is_following = False
        for widget in self._widgets[num_same - len(self._earlier) :]:
            self._drop(widget)
        del self._widgets[num_same - len(self._earlier) :]
        for turn in later[:FIRST_TURNS]:
            self._append(turn, is_running=False)
        self._later = later[FIRST_TURNS:][::-1]
        if self._later:
            self._timer.start()
        self._mark_last()

    def set_siblings(self, siblings: Mapping[int, Sequence[int]]) -> None:
        """By the ids of the turns that are shown: those beside which others stand, with themselves."""
        self._siblings = siblings
        for widget in self._widgets:
            widget.set_siblings(siblings.get(widget.turn.id, ()))

    def widget_of(self, turn_id: int) -> TurnWidget | None:
        return next((widget for widget in reversed(self._widgets) if widget.turn.id == turn_id), None)

    def add(self, turn: Turn, is_running: bool) -> None:
        while self._later:
            self._append(self._later.pop(), is_running=False)
        self._append(turn, is_running)
        self._mark_last()
        if turn.role is Role.USER:
            self.jump_to_latest()

    def grow(self, turn: Turn) -> None:
        if widget := self.widget_of(turn.id):
            widget.grow(turn)

    def show_calls(self, turn: Turn, calls: tuple[Call, ...]) -> None:
        widget = self.widget_of(turn.id)
        if isinstance(widget, AnswerWidget):
            widget.calls.show_calls(calls)

    def end(self, turn: Turn) -> None:
        if widget := self.widget_of(turn.id):
            widget.end(turn)
            ending = turn.problem or ("Answer stopped" if turn.stopped else "Answer finished")
            QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(widget, ending))

    def remove_from(self, turn_id: int) -> None:
        self._later = [turn for turn in self._later if turn.id < turn_id]
        while self._widgets and self._widgets[-1].turn.id >= turn_id:
            self._drop(self._widgets.pop())
        self._mark_last()

    def jump_to_latest(self) -> None:
        self._is_following = True
        self._jump.hide()
        self._follow()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place_jump()

    def _append(self, turn: Turn, is_running: bool) -> None:
        widget = self._make(turn, is_running)
        self._widgets.append(widget)
        self._column.insertWidget(self._column.count() - 1, widget)
        widget.show()  # at once: it may get the focus

    def _step_focused(self, num_places: int) -> None:
        focused = self.focusWidget()
        for widget in self._widgets:
            if widget.isAncestorOf(focused) and widget.turn.id in self._siblings:
                widget.step(num_places)
                return

    def _make(self, turn: Turn, is_running: bool) -> TurnWidget:
        widget: TurnWidget
        if turn.role is Role.USER:
            widget = QuestionWidget(turn, self._theme.palette)
        else:
            widget = answer = AnswerWidget(turn, self._theme.palette, is_running)
            answer.calls.decided.connect(self.call_decided)
            answer.calls.stop_clicked.connect(self.stop_clicked)
        widget.set_siblings(self._siblings.get(turn.id, ()))
        widget.try_again_clicked.connect(self.try_again_clicked)
        widget.stepped.connect(self.stepped)
        widget.edited.connect(self.edited)
        widget.deleted.connect(self.deleted)
        widget.tail_deleted.connect(self.tail_deleted)
        widget.branched.connect(self.branched)
        return widget

    def _mark_last(self) -> None:
        for widget in self._widgets[-3:]:
            widget.set_last(widget is self._widgets[-1])

    def _clear(self) -> None:
        self._timer.stop()
        self._earlier, self._later = [], []
        self._show_earlier.hide()
        for widget in self._widgets:
            self._drop(widget)
        self._widgets = []

    def _drop(self, widget: TurnWidget) -> None:
        self._column.removeWidget(widget)
        widget.hide()
        widget.deleteLater()

    def _add_earlier(self) -> None:
        if self._later:
            self._append(self._later.pop(), is_running=False)
            self._mark_last()
            return
        if self._earlier and len(self._widgets) % MAX_TURNS:
            self._load_one()
            return
        self._timer.stop()
        self._show_earlier.setVisible(bool(self._earlier))

    def _load_earlier(self) -> None:
        self._show_earlier.hide()
        self._load_one()
        self._timer.start()

    def _load_one(self) -> None:
        widget = self._make(self._earlier.pop(), is_running=False)
        widget.set_last(False)
        self._widgets.insert(0, widget)
        self._column.insertWidget(1, widget)

    def _follow(self) -> None:
        bar = self.verticalScrollBar()
        # with or without the bar, the column stands exactly above the composer
        self._margins.setContentsMargins(SIDE, 8, SIDE - (BAR if bar.maximum() else 0), 24)
        if self._is_following:
            bar.setValue(bar.maximum())
        else:
            self._scrolled()

    def _scrolled(self) -> None:
        bar = self.verticalScrollBar()
        self._is_following = bar.value() >= bar.maximum() - NEAR
        self._jump.setVisible(not self._is_following)
        self._place_jump()

    def _place_jump(self) -> None:
        self._jump.adjustSize()
        x = (self.width() - self._jump.width()) // 2
        self._jump.move(x, self.height() - self._jump.height() - 16)
        self._jump.raise_()

    def _recolor(self, colors: Palette) -> None:
        for widget in self._widgets:
            widget.recolor(colors)

    def _make_column(self) -> QVBoxLayout:
        content = QWidget()
        content.setProperty("kind", "transparent")
        outer = self._margins = QHBoxLayout(content)
        outer.setContentsMargins(SIDE, 8, SIDE, 24)
        column = QWidget()
        column.setMaximumWidth(COLUMN_WIDTH)
        outer.addStretch(1)
        outer.addWidget(column, 1000)
        outer.addStretch(1)
        layout = QVBoxLayout(column)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._show_earlier, 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addStretch(1)
        self.setWidget(content)
        return layout
