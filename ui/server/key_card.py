"""A key that has just been made: the one time that it can be seen and copied."""

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLineEdit, QVBoxLayout

from ui.theme import mono_font
from ui.widgets.copy_button import CopyButton
from ui.widgets.labels import button, label

ONCE = "Copy it now: it is not shown again. Slipstream keeps only its hash."


class KeyCard(QFrame):
    changed = Signal()  # what of it may be seen
    left = Signal()  # by who had the focus in it

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("kind", "card")
        self._title = label("", "strong")
        self.edit = QLineEdit(readOnly=True)
        self.edit.setFont(mono_font(12))
        self.edit.setAccessibleName("New API key")
        self.show_key = button("Hide", name="Hide API key")
        self.copy = CopyButton(self.edit.text, "Copy API key", kind="")
        self.done = button("Done", "primary", "Done with the new API key")
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self.edit, 1)
        for widget in (self.show_key, self.copy, self.done):
            row.addWidget(widget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 16, 24, 16)
        layout.setSpacing(8)
        layout.addWidget(self._title)
        layout.addWidget(label(ONCE, "muted", wraps=True))
        layout.addLayout(row)
        self.hide()

        self.show_key.clicked.connect(self._turn)
        self.done.clicked.connect(self.forget)

    @property
    def seen_key(self) -> str | None:
        """None while it is masked, or there is none."""
        is_seen = self.edit.echoMode() is QLineEdit.EchoMode.Normal
        return self.edit.text() or None if is_seen else None

    def show_new(self, name: str, key: str) -> None:
        self._title.setText(f"New key: {name}")
        self.edit.setText(key)
        self._mask(False)
        self.show()
        self.copy.setFocus()

    def forget(self) -> None:
        self.edit.clear()
        self.left.emit()
        self.hide()
        self.changed.emit()

    def _turn(self) -> None:
        self._mask(self.edit.echoMode() is QLineEdit.EchoMode.Normal)

    def _mask(self, is_masked: bool) -> None:
        mode = QLineEdit.EchoMode.Password if is_masked else QLineEdit.EchoMode.Normal
        self.edit.setEchoMode(mode)
        self.edit.setCursorPosition(0)
        self.show_key.setText("Show" if is_masked else "Hide")
        self.show_key.setAccessibleName(f"{self.show_key.text()} API key")
        self.changed.emit()
