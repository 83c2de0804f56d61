"""A message that is written over in its place: Ctrl+Enter keeps it, Esc gives up."""

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QKeyEvent, QTextCursor
from PySide6.QtWidgets import QHBoxLayout, QPlainTextEdit, QVBoxLayout, QWidget

from ui.widgets.labels import button, label
from ui.widgets.own_escape import takes_escape

MIN_LINES, MAX_LINES = 2, 16
FRAME = 12  # pixels that the field takes around its lines


class EditField(QPlainTextEdit):
    saved = Signal()
    left = Signal()

    def __init__(self, text: str):
        super().__init__(text)
        self.setProperty("kind", "field")
        self.setProperty("isMessage", True)
        self.setAccessibleName("Edit message")
        self.setTabChangesFocus(True)
        self.document().documentLayout().documentSizeChanged.connect(self._fit)
        self._fit()

    def event(self, event: QEvent) -> bool:
        return takes_escape(event) or super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        is_enter = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if event.key() == Qt.Key.Key_Escape:
            self.left.emit()
        elif is_enter and event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.saved.emit()
        else:
            super().keyPressEvent(event)

    def _fit(self) -> None:
        # a QPlainTextEdit measures its document in lines
        num_lines = min(max(MIN_LINES, int(self.document().size().height())), MAX_LINES)
        margins = int(2 * self.document().documentMargin())
        self.setFixedHeight(num_lines * self.fontMetrics().lineSpacing() + margins + FRAME)


class TurnEdit(QWidget):
    saved = Signal(str)
    left = Signal()

    def __init__(self, text: str, save: str):
        """save: what its button says."""
        super().__init__()
        self.field = EditField(text)
        self._save = button(save, "primary", f"{save}: keep the edited message")
        self._cancel = button("Cancel", name="Cancel: leave the message as it was")
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(label("The old version stays beside it", "caption"), 1)
        row.addWidget(self._cancel)
        row.addWidget(self._save)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.field)
        layout.addLayout(row)
        self._save.setToolTip("Ctrl+Enter")
        self._cancel.setToolTip("Esc")

        self.field.textChanged.connect(self._refresh)
        self.field.saved.connect(self._tell)
        self.field.left.connect(self.left)
        self._save.clicked.connect(self._tell)
        self._cancel.clicked.connect(self.left)

    def focus(self) -> None:
        self.field.setFocus()
        self.field.moveCursor(QTextCursor.MoveOperation.End)

    def _refresh(self) -> None:
        self._save.setEnabled(bool(self.field.toPlainText().strip()))

    def _tell(self) -> None:
        if self._save.isEnabled():
            self.saved.emit(self.field.toPlainText())
