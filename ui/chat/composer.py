"""Where a person writes: grows to eight lines; Enter sends, Shift+Enter starts a new line."""

from pathlib import Path

from PySide6.QtCore import QMimeData, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFocusEvent, QKeyEvent, QPalette
from PySide6.QtWidgets import (
    QCheckBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QPlainTextEdit,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ui.chat.attachment import AttachmentError, read_attachment
from ui.chat.tools_switch import ToolsSwitch
from ui.icons import icon
from ui.markdown.blocks import hard_wrap
from ui.palette import Palette
from ui.theme import Theme
from ui.widgets.labels import label, restyle

MAX_LINES = 8
PADDING = 4
MAX_PASTED_RUN = 4000
MAX_SHOWN = 20_000  # characters; a longer paste is shown by its size, because Qt lays out every word of it
MAX_PASTED = 4_000_000
TOO_MUCH = "The clipboard holds {:,} characters, and a message takes {:,} at most. Paste a part of it."
HINT = "Enter sends, Shift+Enter starts a new line"


class ComposerEdit(QPlainTextEdit):
    sent = Signal()
    focus_changed = Signal(bool)
    refused = Signal(str)  # a sentence: this cannot be pasted or attached

    def __init__(self) -> None:
        super().__init__()
        self._pasted: dict[str, str] = {}  # what is shown, and the text that it stands for
        self.setProperty("kind", "bare")
        self.setAccessibleName("Message")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setTabChangesFocus(True)
        self.document().setDocumentMargin(0)
        self.setViewportMargins(0, PADDING, 0, PADDING)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.document().documentLayout().documentSizeChanged.connect(self._fit)
        self._fit()

    def insertFromMimeData(self, source: QMimeData) -> None:
        """Text files as attachments; else plain text, with breaks where Qt would need minutes for one endless line."""
        if files := [url for url in source.urls() if url.isLocalFile()]:
            for url in files:
                self._attach(Path(url.toLocalFile()))
            return
        text = source.text()
        if len(text) > MAX_PASTED:
            self.refused.emit(TOO_MUCH.format(len(text), MAX_PASTED))
        elif len(text) > MAX_SHOWN:
            self.insertPlainText(self._keep(text))
        else:
            self.insertPlainText(hard_wrap(text, MAX_PASTED_RUN))

    def canInsertFromMimeData(self, source: QMimeData) -> bool:
        return source.hasUrls() or super().canInsertFromMimeData(source)

    def _attach(self, path: Path) -> None:
        try:
            attachment = read_attachment(path)
        except AttachmentError as error:
            self.refused.emit(str(error))
            return
        self._pasted[attachment.mark] = attachment.block
        self.insertPlainText(f"{attachment.mark}\n")

    def message(self) -> str:
        """The text, with all that was pasted in its place."""
        text = self.toPlainText()
        for mark, pasted in self._pasted.items():
            text = text.replace(mark, pasted, 1)
        return text.strip()

    def take(self) -> str:
        """The message, which leaves an empty field behind."""
        text = self.message()
        self.clear()
        self._pasted.clear()
        return text

    def put_back(self, text: str) -> None:
        self._pasted.clear()
        self.setPlainText(text if len(text) <= MAX_SHOWN else self._keep(text))

    def _keep(self, text: str) -> str:
        mark = f"[Pasted text {len(self._pasted) + 1}: {len(text):,} characters]"
        self._pasted[mark] = text
        return mark

    def keyPressEvent(self, event: QKeyEvent) -> None:
        is_enter = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if is_enter and not event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            self.sent.emit()
            return
        super().keyPressEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.focus_changed.emit(True)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.focus_changed.emit(False)

    def _fit(self) -> None:
        # a QPlainTextEdit measures its document in lines
        num_lines = max(1, int(self.document().size().height()))
        line = self.fontMetrics().lineSpacing()
        has_more = num_lines > MAX_LINES
        policy = Qt.ScrollBarPolicy
        self.setVerticalScrollBarPolicy(policy.ScrollBarAsNeeded if has_more else policy.ScrollBarAlwaysOff)
        self.setFixedHeight(min(num_lines, MAX_LINES) * line + 2 * PADDING)


class Composer(QWidget):
    submitted = Signal(object)  # str; as a Qt string, a long one would be copied twice
    stop_clicked = Signal()
    refused = Signal(str)  # a sentence: what was pasted is too much
    completes_changed = Signal(bool)

    def __init__(self, theme: Theme):
        super().__init__()
        self._theme = theme
        self._is_busy = False
        self._obstacle: str | None = None
        self.edit = ComposerEdit()
        self._frame = QFrame()
        self._frame.setProperty("kind", "composer")
        self.send = self._make_button("Send", "send")
        self.stop = self._make_button("Stop the answer (Esc)", "stop")
        self._note = label("", "caption")
        self._note.hide()
        self.complete = QCheckBox("Complete text")
        self.complete.setToolTip("It goes on with what you write, instead of answering you")
        self.complete.hide()
        self.tools = ToolsSwitch()
        self._hint = label(HINT, "caption")
        self._lay_out()

        self.edit.sent.connect(self._submit)
        self.edit.refused.connect(self.refused)
        self.edit.textChanged.connect(self._refresh)
        self.edit.focus_changed.connect(lambda has: restyle(self._frame, "focused", has))
        self.send.clicked.connect(self._submit)
        self.stop.clicked.connect(self.stop_clicked)
        self.complete.toggled.connect(self.completes_changed)
        theme.changed.connect(self._recolor)
        self._recolor(theme.palette)

    def set_obstacle(self, sentence: str | None, placeholder: str) -> None:
        """A sentence why nothing can be sent now, or None and what the empty field says."""
        self._obstacle = sentence
        self.edit.setPlaceholderText(sentence or placeholder)
        self.edit.viewport().update()  # Qt paints a new placeholder only with the next event
        self._refresh()

    def set_note(self, sentence: str) -> None:
        """What the writer should know of the model, above the field; an empty one takes no room."""
        self._note.setText(sentence)
        self._note.setVisible(bool(sentence))

    def set_base(self, is_base: bool) -> None:
        """A base model has no chat format: it may be asked, or go on with a text."""
        self.complete.setVisible(is_base)

    def set_busy(self, is_busy: bool) -> None:
        self._is_busy = is_busy
        self._refresh()

    def focus(self) -> None:
        self.edit.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def _submit(self) -> None:
        if self._is_busy or self._obstacle or not self.edit.toPlainText().strip():
            return
        if text := self.edit.take():
            self.submitted.emit(text)

    def _refresh(self) -> None:
        has_text = bool(self.edit.toPlainText().strip())
        had_focus = self.send.hasFocus() or self.stop.hasFocus()
        self.send.setVisible(not self._is_busy)
        self.stop.setVisible(self._is_busy)
        self.send.setEnabled(has_text and not self._obstacle)
        colors = self._theme.palette
        self.send.setIcon(icon("send", colors.on_accent if self.send.isEnabled() else colors.muted))
        if had_focus:
            self.edit.setFocus()
        restyle(self._frame, "enabledLook", self._obstacle is None)

    def _recolor(self, colors: Palette) -> None:
        self.stop.setIcon(icon("stop", colors.canvas))
        palette = self.edit.palette()
        palette.setColor(QPalette.ColorRole.PlaceholderText, QColor(colors.muted))
        self.edit.setPalette(palette)
        self._refresh()

    def _make_button(self, name: str, kind: str) -> QToolButton:
        result = QToolButton()
        result.setProperty("kind", kind)
        result.setAccessibleName(name)
        result.setToolTip(name)
        result.setFixedSize(36, 36)
        result.setIconSize(QSize(20, 20))
        result.setCursor(Qt.CursorShape.PointingHandCursor)
        result.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        return result

    def _lay_out(self) -> None:
        row = QHBoxLayout(self._frame)
        row.setContentsMargins(16, 8, 8, 8)
        row.setSpacing(8)
        row.addWidget(self.edit, 1, Qt.AlignmentFlag.AlignVCenter)
        row.addWidget(self.send, 0, Qt.AlignmentFlag.AlignBottom)
        row.addWidget(self.stop, 0, Qt.AlignmentFlag.AlignBottom)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        above = QHBoxLayout()
        above.setSpacing(12)
        above.addStretch(1)
        above.addWidget(self._note)
        above.addWidget(self.complete)
        above.addStretch(1)
        layout.addLayout(above)
        layout.addWidget(self._frame)
        below = QGridLayout()  # the hint in the middle of the field, whatever stands beside it
        below.addWidget(self.tools, 0, 0)
        below.addWidget(self._hint, 0, 1)
        for column in (0, 2):
            below.setColumnStretch(column, 1)
            below.setColumnMinimumWidth(column, self.tools.sizeHint().width())
        layout.addLayout(below)
