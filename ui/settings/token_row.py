"""The access token for the Hub: whether there is one, a field for a new one, and the way to be rid of it."""

from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from app.hub.tokens import VARIABLE, TokenStore
from ui.bridge import Bridge
from ui.settings.fields import CONTROL_WIDTH
from ui.widgets.labels import button, label

WHY = "For gated repositories. Kept in the system keyring, never shown."


class TokenRow(QWidget):
    """The keyring is asked on a worker: it may take seconds, or want a password."""

    def __init__(self, tokens: TokenStore, bridge: Bridge):
        super().__init__()
        self._tokens = tokens
        self._bridge = bridge
        self.status = label("", "caption", wraps=True)
        self.edit = QLineEdit(placeholderText="hf_…, then Enter")
        self.edit.setAccessibleName("Access token for the Hub")
        self.edit.setEchoMode(QLineEdit.EchoMode.Password)
        self.edit.setFixedWidth(CONTROL_WIDTH)
        self.forget = button("Forget", name="Forget the access token")
        self.forget.hide()
        texts = QVBoxLayout()
        texts.setSpacing(0)
        texts.addWidget(label("Access token for the Hub", "strong"))
        texts.addWidget(label(WHY, "caption", wraps=True))
        texts.addWidget(self.status)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(24)
        row.addLayout(texts, 1)
        row.addWidget(self.forget)
        row.addWidget(self.edit)

        self.edit.returnPressed.connect(self._save)
        self.forget.clicked.connect(self._forget)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._look()

    def _look(self, note: str | None = None) -> None:
        self._bridge.call(self._tokens.token, lambda token: self._tell(token is not None, note or self._tokens.problem))

    def _save(self) -> None:
        """The field is emptied: a token is not left lying on the screen."""
        token = self.edit.text()
        self.edit.clear()
        self._bridge.call(lambda: self._tokens.save(token), self._look, self._complain)

    def _forget(self) -> None:
        self._bridge.call(self._tokens.forget, lambda _: self._look(), self._complain)

    def _complain(self, error: Exception) -> None:
        self._look(str(error))

    def _tell(self, has_token: bool, note: str | None) -> None:
        is_fixed = self._tokens.is_from_environment
        known = f"It comes from {VARIABLE}." if is_fixed else "There is one." if has_token else "There is none."
        self.status.setText(note or known)
        self.forget.setVisible(has_token and not is_fixed)
        self.edit.setVisible(not has_token)
