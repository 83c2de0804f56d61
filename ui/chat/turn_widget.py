"""One turn of the conversation: a question in a bubble, or an answer with its account and its buttons."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from app.conversation import Turn
from app.tools.call import calls_of
from ui.chat.tool_card import ToolCards
from ui.figures import loss, summary
from ui.markdown.view import MarkdownView, PlainView
from ui.palette import Palette
from ui.widgets.copy_button import CopyButton
from ui.widgets.labels import button, label, restyle

BUBBLE_WIDTH, INDENT, PADDING = 560, 64, 16
MAX_SHOWN = 20_000  # characters of a question; of a longer one the beginning is shown
BEGINNING = 1_000
BREAK_SENTENCE = "Slipstream ended before this answer did."


class TurnWidget(QWidget):
    """What both kinds share. `turn` is what is shown now."""

    try_again_clicked = Signal()

    def __init__(self, turn: Turn):
        super().__init__()
        self.turn = turn

    def grow(self, turn: Turn) -> None:
        self.turn = turn

    def end(self, turn: Turn) -> None:
        self.turn = turn

    def set_last(self, is_last: bool) -> None:
        """Only the last answer can be asked for again."""

    def recolor(self, colors: Palette) -> None:
        raise NotImplementedError


class QuestionWidget(TurnWidget):
    def __init__(self, turn: Turn, colors: Palette):
        super().__init__(turn)
        self._bubble = QFrame()
        self._bubble.setProperty("kind", "bubble")
        self.view = PlainView(colors, "Your message", BUBBLE_WIDTH)
        inside = QVBoxLayout(self._bubble)
        inside.setContentsMargins(PADDING, 10, PADDING, 6)  # a line keeps its leading below
        inside.addWidget(self.view)
        if len(turn.text) > MAX_SHOWN:
            inside.setContentsMargins(PADDING, 10, PADDING, 10)
            inside.addWidget(label(f"… and {len(turn.text) - BEGINNING:,} more characters", "muted"))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(INDENT, 16, 0, 8)
        layout.addStretch(1)
        layout.addWidget(self._bubble)
        self.setMinimumWidth(1)  # else the bubble would have its width, and not the page
        self.view.finish(turn.text if len(turn.text) <= MAX_SHOWN else turn.text[:BEGINNING])

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.view.limit(max(1, min(BUBBLE_WIDTH, self.width() - INDENT - 2 * PADDING)))

    def recolor(self, colors: Palette) -> None:
        self.view.recolor(colors)


class AnswerWidget(TurnWidget):
    def __init__(self, turn: Turn, colors: Palette, is_running: bool):
        super().__init__(turn)
        self.calls = ToolCards()
        self.view = MarkdownView(colors, "Answer")
        self._waiting = label("Thinking…", "muted")
        self._problem = label("", "problem", wraps=True)
        self._problem.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._account = label("", "caption", wraps=True)
        self._account.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._account.setContentsMargins(0, 3, 0, 0)  # its first line is level with the buttons beside it
        self._copy = CopyButton(lambda: self.turn.text, "Copy answer", kind="link")
        self._again = button("Try again", "link", "Try again: ask for another answer")
        self._foot = self._make_foot()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 8, 0, 8)
        layout.setSpacing(8)
        for widget in (self.calls, self._waiting, self.view, self._problem, self._foot):
            layout.addWidget(widget)

        self._again.clicked.connect(self.try_again_clicked)
        if is_running:
            self.grow(turn)
        else:
            self.end(turn)

    def grow(self, turn: Turn) -> None:
        super().grow(turn)
        self._waiting.setVisible(not turn.text)
        self.view.setVisible(bool(turn.text))
        self._foot.hide()
        self._problem.hide()
        self.view.stream(turn.text)

    def end(self, turn: Turn) -> None:
        super().end(turn)
        if turn.steps and not self.calls.cards:  # else it was shown how they came, with their times
            self.calls.show_calls(calls_of(turn.steps))
        self.view.finish(turn.text)
        self.view.setVisible(bool(turn.text))
        self._waiting.hide()
        problem = self._sentence(turn)
        restyle(self._problem, "kind", "problem" if turn.problem else "muted")
        self._problem.setText(problem)
        self._problem.setVisible(bool(problem))
        self._account.setText(summary(turn.timings) if turn.timings else "")
        why = loss(turn.timings) if turn.timings else ""
        self._account.setToolTip(why)  # behind the figures, for who asks
        self._account.setAccessibleDescription(why)
        self._foot.show()

    def set_last(self, is_last: bool) -> None:
        self._again.setVisible(is_last)

    def recolor(self, colors: Palette) -> None:
        self.view.recolor(colors)

    @property
    def problem(self) -> str:
        return self._problem.text()

    def _sentence(self, turn: Turn) -> str:
        if turn.problem:
            return turn.problem
        if turn.stopped:
            return "You stopped this answer."
        # a killed app could not write why: an answer without an account has no end either
        return "" if turn.timings and turn.text else BREAK_SENTENCE if not turn.timings else "The model said nothing."

    def _make_foot(self) -> QWidget:
        foot = QWidget()
        row = QHBoxLayout(foot)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(16)
        row.addWidget(self._copy, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self._again, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self._account, 1)
        return foot
