"""A piece of code to take away: read-only, with a copy button."""

from PySide6.QtWidgets import QFrame, QHBoxLayout, QPlainTextEdit, QVBoxLayout

from ui.theme import mono_font
from ui.widgets.copy_button import CopyButton
from ui.widgets.labels import label

LINE_HEIGHT = 18


class CodeCard(QFrame):
    def __init__(self, title: str, num_lines: int):
        super().__init__()
        self.edit = QPlainTextEdit()
        self.edit.setReadOnly(True)
        self.edit.setFont(mono_font(12))
        self.edit.setProperty("kind", "code")
        self.edit.setAccessibleName(title)
        self.edit.setTabChangesFocus(True)
        self.edit.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self._title = label(title, "strong")
        self._fit(num_lines)
        head = QHBoxLayout()
        head.addWidget(self._title)
        head.addStretch(1)
        head.addWidget(CopyButton(self.edit.toPlainText, f"Copy {title}"))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(head)
        layout.addWidget(self.edit)

    def show_piece(self, title: str, text: str) -> None:
        """Another one in its place, as high as it needs to be."""
        self._title.setText(title)
        self.set_text(text)
        self._fit(text.count("\n") + 1)

    def _fit(self, num_lines: int) -> None:
        self.edit.setFixedHeight(num_lines * LINE_HEIGHT + 32)

    def set_text(self, text: str) -> None:
        if text != self.edit.toPlainText():
            self.edit.setPlainText(text)
