"""The calls of an answer: what the model wants, the person's decision, how long it runs, and its result, folded."""

import time
from functools import partial

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPlainTextEdit, QToolButton, QVBoxLayout, QWidget

from app.tools.call import Call, CallState
from app.tools.events import Decision
from app.tools.servers import BUILT_IN
from backends.bounds import as_name
from ui.theme import mono_font
from ui.widgets.labels import button, label

TICK_MS = 500
MAX_LINES = 12  # of a text at once; a longer one scrolls
MAX_SHOWN = 20_000  # characters of arguments
DECISIONS = (
    ("Allow once", Decision.ONCE, "primary"),
    ("Always allow", Decision.ALWAYS, ""),
    ("Deny", Decision.DENY, ""),
)


class ToolCard(QFrame):
    decided = Signal(str, object)  # the call's id, Decision
    stop_clicked = Signal()

    def __init__(self, call: Call):
        super().__init__()
        self.call = call
        self.setProperty("kind", "card")
        self._head = label("", "strong", wraps=True)
        self._state = label("", "caption")
        self.arguments = _text(f"Arguments of {as_name(call.name)}")
        self.choices = {text: button(text, kind) for text, _, kind in DECISIONS}
        self.stop = button("Stop", "small", "Stop the tool and the answer")
        self.fold = QToolButton()
        self.fold.setText("Result")
        self.fold.setAccessibleName(f"Result of {as_name(call.name)}")
        self.fold.setCheckable(True)
        self.fold.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.fold.setArrowType(Qt.ArrowType.RightArrow)
        self.result = _text(f"Result of {as_name(call.name)}")
        self.result.hide()
        self._timer = QTimer(self, interval=TICK_MS)
        self._lay_out()

        for text, decision, _ in DECISIONS:
            self.choices[text].clicked.connect(partial(self._decide, decision))
        self.stop.clicked.connect(self.stop_clicked)
        self.fold.toggled.connect(self._unfold)
        self._timer.timeout.connect(self._tell_state)
        self.show_call(call)

    def show_call(self, call: Call) -> None:
        had_state, self.call = self.call.state, call
        source = "built in" if call.source == BUILT_IN else as_name(call.source or "")
        self._head.setText(f"{as_name(call.name)} · {source}" if source else as_name(call.name))
        _fill(self.arguments, call.formatted[:MAX_SHOWN])
        is_waiting = call.state is CallState.WAITING
        self._choices.setVisible(is_waiting)
        self.stop.setVisible(call.state is CallState.RUNNING)
        self.fold.setVisible(call.outcome is not None)
        if call.outcome:
            _fill(self.result, call.outcome.text)
        if call.state is CallState.RUNNING:
            self._timer.start()
        else:
            self._timer.stop()
        self._tell_state()
        if had_state is CallState.WAITING and not is_waiting and self.focusWidget():
            self.fold.setFocus()

    def _decide(self, decision: Decision) -> None:
        """At once, so that a second click finds nothing to decide."""
        self._choices.hide()
        self.decided.emit(self.call.id, decision)

    def _unfold(self, is_open: bool) -> None:
        self.fold.setArrowType(Qt.ArrowType.DownArrow if is_open else Qt.ArrowType.RightArrow)
        self.result.setVisible(is_open)

    def _tell_state(self) -> None:
        self._state.setText(_state(self.call))

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.addWidget(self._head, 1)
        head.addWidget(self._state)
        head.addWidget(self.stop)
        self._choices = QWidget()
        choices = QHBoxLayout(self._choices)
        choices.setContentsMargins(0, 0, 0, 0)
        choices.setSpacing(8)
        for each in self.choices.values():
            choices.addWidget(each)
        choices.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 12, 16, 12)
        layout.setSpacing(8)
        layout.addLayout(head)
        layout.addWidget(self.arguments)
        layout.addWidget(self._choices)
        layout.addWidget(self.fold, 0, Qt.AlignmentFlag.AlignLeft)
        layout.addWidget(self.result)


class ToolCards(QWidget):
    """One for each call, in their order."""

    decided = Signal(str, object)
    stop_clicked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.cards: list[ToolCard] = []
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(8)
        self.hide()

    def show_calls(self, calls: tuple[Call, ...]) -> None:
        """Of the same answer: a call stays where it is."""
        for card, call in zip(self.cards, calls, strict=False):
            if card.call != call:
                card.show_call(call)
        for call in calls[len(self.cards) :]:
            card = ToolCard(call)
            card.decided.connect(self.decided)
            card.stop_clicked.connect(self.stop_clicked)
            self.cards.append(card)
            self._layout.addWidget(card)
        self.setVisible(bool(calls))


def _state(call: Call) -> str:
    match call.state:
        case CallState.WAITING:
            return "Waits for you"
        case CallState.RUNNING:
            return f"Running, {time.monotonic() - call.begun:.0f} s"
        case CallState.ENDED if call.outcome:
            took = f"{call.seconds:.1f} s" if call.seconds >= 0.1 else ""
            return "Failed" if call.outcome.is_error else took
    return ""


def _text(name: str) -> QPlainTextEdit:
    """Plain: its words are a stranger's."""
    edit = QPlainTextEdit()
    edit.setReadOnly(True)
    edit.setFont(mono_font(12))
    edit.setProperty("kind", "code")
    edit.setAccessibleName(name)
    edit.setTabChangesFocus(True)
    return edit


def _fill(edit: QPlainTextEdit, text: str) -> None:
    if text != edit.toPlainText():
        edit.setPlainText(text)
    num_lines = min(max(text.count("\n") + 1, 1), MAX_LINES)
    edit.setFixedHeight(num_lines * edit.fontMetrics().lineSpacing() + 36)  # the frame and its padding
