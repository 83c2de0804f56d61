"""Says that a repository is given on request only, where to ask, and takes the token that shows who asks."""

from PySide6.QtCore import Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLineEdit, QVBoxLayout

from ui.plain import plain_tip
from ui.widgets.labels import button, label

MAX_TOKEN = 512


class GateCard(QFrame):
    token_entered = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("kind", "banner-info")
        self._link = ""
        self._text = label("", wraps=True)
        self.note = label("", wraps=True)
        self.note.hide()
        self.ask = button("View on Hugging Face")
        self.token = QLineEdit(placeholderText="Access token, hf_…")
        self.token.setAccessibleName("Access token")
        self.token.setEchoMode(QLineEdit.EchoMode.Password)
        self.token.setMaxLength(MAX_TOKEN)
        self.save = button("Use token")
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self.token, 1)
        row.addWidget(self.save)
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(self._text, 1)
        head.addWidget(self.ask, 0, Qt.AlignmentFlag.AlignTop)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 8, 8, 16)
        layout.setSpacing(8)
        layout.addLayout(head)
        layout.addLayout(row)
        layout.addWidget(self.note)

        self.ask.clicked.connect(lambda: QDesktopServices.openUrl(QUrl(self._link)))
        self.save.clicked.connect(self._enter)
        self.token.returnPressed.connect(self._enter)

    @property
    def text(self) -> str:
        return self._text.text()

    def show_gate(self, text: str, link: str) -> None:
        self._text.setText(text)
        self._link = link
        self.ask.setVisible(bool(link))
        self.ask.setToolTip(plain_tip(link))
        self.note.hide()
        self.show()

    def show_note(self, text: str) -> None:
        self.note.setText(text)
        self.note.show()

    def _enter(self) -> None:
        """The field is emptied: a token is not left lying on the screen."""
        token = self.token.text().strip()
        if token:
            self.token.clear()
            self.token_entered.emit(token)
