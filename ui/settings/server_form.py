"""The form of a new tool server: a program with its arguments and variables, or an address with a secret header."""

import shlex
from collections.abc import Mapping

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFormLayout, QHBoxLayout, QLineEdit, QPlainTextEdit, QVBoxLayout, QWidget

from app.errors import UsageError
from app.tools.servers import ToolServer
from ui.widgets.labels import button, label

TEXT_HEIGHT = 56


class ServerForm(QWidget):
    submitted = Signal(object, object)  # ToolServer, and its secrets' values by name
    cancelled = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.name = QLineEdit(placeholderText="Files")
        self.command = QLineEdit(placeholderText="uvx mcp-server-time, or https://example.org/mcp")
        self.env = QPlainTextEdit()
        self.env.setPlaceholderText("NAME=value, one per line")
        self.env.setProperty("kind", "field")
        self.env.setTabChangesFocus(True)
        self.env.setFixedHeight(TEXT_HEIGHT)
        self.secret_name = QLineEdit(placeholderText="Authorization")
        self.secret = QLineEdit(placeholderText="Kept in the system keyring, never shown")
        self.secret.setEchoMode(QLineEdit.EchoMode.Password)
        self.problem = label("", "problem", wraps=True)
        self.problem.hide()
        self.add = button("Add", "primary", "Add the server")
        self.cancel = button("Cancel")
        form = QFormLayout()
        rows = {
            "Name": self.name,
            "Command or URL": self.command,
            "Variables": self.env,
            "Secret variable or header": self.secret_name,
            "Its value": self.secret,
        }
        for title, field in rows.items():
            field.setAccessibleName(title)
            form.addRow(label(title), field)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(self.cancel)
        buttons.addWidget(self.add)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(form)
        layout.addWidget(self.problem)
        layout.addLayout(buttons)

        self.add.clicked.connect(self._submit)
        self.cancel.clicked.connect(self.cancelled)
        for field in (self.name, self.command, self.secret_name, self.secret):
            field.returnPressed.connect(self._submit)

    def begin(self) -> None:
        for field in (self.name, self.command, self.secret_name, self.secret):
            field.clear()
        self.env.clear()
        self.problem.hide()
        self.show()
        self.name.setFocus()

    def complain(self, sentence: str) -> None:
        self.problem.setText(sentence)
        self.problem.show()

    def _submit(self) -> None:
        name = self.secret_name.text().strip()
        secrets = {name: self.secret.text()} if name else {}
        try:
            server = server_from(self.name.text(), self.command.text(), self.env.toPlainText(), tuple(secrets))
        except UsageError as error:
            self.complain(str(error))
            return
        self.submitted.emit(server, secrets)


def server_from(name: str, target: str, env: str, secrets: tuple[str, ...]) -> ToolServer:
    """Unchecked. Raises UsageError for what cannot be read."""
    target = target.strip()
    if target.startswith(("http://", "https://")):
        return ToolServer(name.strip(), env=_variables(env), url=target, secrets=secrets)
    try:
        command, *args = shlex.split(target) or [""]
    except ValueError:
        raise UsageError("A quotation mark in the command is not closed. Close it.") from None
    return ToolServer(name.strip(), command, tuple(args), _variables(env), secrets=secrets)


def _variables(text: str) -> Mapping[str, str]:
    """Raises UsageError."""
    lines = [line for line in text.splitlines() if line.strip()]
    if any("=" not in line for line in lines):
        raise UsageError("Write each variable as NAME=value, one per line.")
    pairs = (line.partition("=") for line in lines)
    return {name.strip(): value for name, _, value in pairs}
