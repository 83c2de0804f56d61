"""One turn of the conversation: a question in a bubble, or an answer with its account and its buttons."""

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QMenu, QVBoxLayout, QWidget

from app.conversation import Turn
from app.tools.call import calls_of
from ui.chat.sibling_switcher import SiblingSwitcher
from ui.chat.tool_card import ToolCards
from ui.chat.turn_edit import TurnEdit
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
    stepped = Signal(object, int)  # turn's id, so many places on among its siblings
    edited = Signal(object, str)  # turn's id, another text
    deleted = Signal(object)  # turn's id: it alone
    tail_deleted = Signal(object)  # turn's id: it and all that follow it
    branched = Signal(object)  # turn's id: a new chat that begins with what leads to it
    SAVE = "Save"  # what the button says that keeps an edited text

    def __init__(self, turn: Turn, kind: str):
        super().__init__()
        self.turn = turn
        self._editor: TurnEdit | None = None
        self.switcher = SiblingSwitcher()
        self._edit = button("Edit", "link", f"Edit {kind}")
        self._more = button("More", "link", f"More for this {kind}")
        self._more.setMenu(self._make_menu())

        self.switcher.stepped.connect(self.step)
        self._edit.clicked.connect(self.edit)

    def step(self, num_places: int) -> None:
        self.stepped.emit(self.turn.id, num_places)

    def edit(self) -> None:
        """In the place of its text."""
        if self._editor or not self._edit.isEnabled():
            return
        self._editor = TurnEdit(self.turn.text, self.SAVE)
        self._editor.saved.connect(lambda text: self.edited.emit(self.turn.id, text))
        self._editor.left.connect(self.end_edit)
        self._put(self._editor)
        self._show_text(False)
        self._editor.show()
        self._editor.focus()

    def end_edit(self) -> None:
        if self._editor:
            self._editor.hide()
            self._editor.deleteLater()
            self._editor = None
            self._show_text(True)
            self._edit.setFocus()

    def grow(self, turn: Turn) -> None:
        self.turn = turn

    def end(self, turn: Turn) -> None:
        self.turn = turn
        self._mark_editable()

    def set_last(self, is_last: bool) -> None:
        """Only the last answer can be asked for again."""

    def set_siblings(self, siblings: Sequence[int]) -> None:
        """With itself, the oldest first; or none."""
        place = siblings.index(self.turn.id) if self.turn.id in siblings else 0
        self.switcher.show_place(place, len(siblings))

    def recolor(self, colors: Palette) -> None:
        raise NotImplementedError

    def _put(self, editor: TurnEdit) -> None:
        """Where the text stands."""
        raise NotImplementedError

    def _show_text(self, is_shown: bool) -> None:
        raise NotImplementedError

    def _mark_editable(self) -> None:
        """Qt lays out every word of a field."""
        fits = len(self.turn.text) <= MAX_SHOWN
        self._edit.setEnabled(fits)
        self._edit.setToolTip("" if fits else f"Longer than {MAX_SHOWN:,} characters: copy it, and send it anew")

    def _make_menu(self) -> QMenu:
        menu = QMenu(self)
        menu.addAction("Delete message", lambda: self.deleted.emit(self.turn.id))
        menu.addAction("Delete from here on", lambda: self.tail_deleted.emit(self.turn.id))
        menu.addSeparator()
        menu.addAction("New chat up to here", lambda: self.branched.emit(self.turn.id))
        return menu


class QuestionWidget(TurnWidget):
    SAVE = "Send"

    def __init__(self, turn: Turn, colors: Palette):
        super().__init__(turn, "message")
        self._bubble = QFrame()
        self._bubble.setProperty("kind", "bubble")
        self.view = PlainView(colors, "Your message", BUBBLE_WIDTH)
        inside = QVBoxLayout(self._bubble)
        inside.setContentsMargins(PADDING, 10, PADDING, 6)  # a line keeps its leading below
        inside.addWidget(self.view)
        if len(turn.text) > MAX_SHOWN:
            inside.setContentsMargins(PADDING, 10, PADDING, 10)
            inside.addWidget(label(f"… and {len(turn.text) - BEGINNING:,} more characters", "muted"))
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.addStretch(1)
        row.addWidget(self._bubble)
        self._foot = QWidget()
        foot = QHBoxLayout(self._foot)
        foot.setContentsMargins(0, 0, 0, 0)
        foot.setSpacing(16)
        foot.addStretch(1)
        for widget in (self.switcher, self._edit, self._more):
            foot.addWidget(widget)
        layout = self._layout = QVBoxLayout(self)
        layout.setContentsMargins(INDENT, 16, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(row)
        layout.addWidget(self._foot)
        self.setMinimumWidth(1)  # else the bubble would have its width, and not the page
        self.view.finish(turn.text if len(turn.text) <= MAX_SHOWN else turn.text[:BEGINNING])
        self._mark_editable()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.view.limit(max(1, min(BUBBLE_WIDTH, self.width() - INDENT - 2 * PADDING)))

    def recolor(self, colors: Palette) -> None:
        self.view.recolor(colors)

    def _put(self, editor: TurnEdit) -> None:
        self._layout.insertWidget(0, editor)

    def _show_text(self, is_shown: bool) -> None:
        self._bubble.setVisible(is_shown)
        self._foot.setVisible(is_shown)


class AnswerWidget(TurnWidget):
    def __init__(self, turn: Turn, colors: Palette, is_running: bool):
        super().__init__(turn, "answer")
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
        layout = self._layout = QVBoxLayout(self)
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

    def _put(self, editor: TurnEdit) -> None:
        self._layout.insertWidget(0, editor)

    def _show_text(self, is_shown: bool) -> None:
        self.view.setVisible(is_shown and bool(self.turn.text))
        self._problem.setVisible(is_shown and bool(self.problem))
        self._foot.setVisible(is_shown)

    @property
    def problem(self) -> str:
        return self._problem.text()

    def _sentence(self, turn: Turn) -> str:
        if turn.problem:
            return turn.problem
        if turn.stopped:
            return "You stopped this answer."
        # a killed app could not write why: an answer without an account has no end either
        if turn.is_edited:
            return "Edited by you."
        return "" if turn.timings and turn.text else BREAK_SENTENCE if not turn.timings else "The model said nothing."

    def _make_foot(self) -> QWidget:
        foot = QWidget()
        row = QHBoxLayout(foot)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(16)
        for widget in (self.switcher, self._copy, self._again, self._edit, self._more):
            row.addWidget(widget, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self._account, 1)
        return foot
