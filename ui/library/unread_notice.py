"""Which places the library could not look through, above the shelf: what is missing there has a reason."""

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QVBoxLayout

from ui.widgets.labels import label

MAX_SHOWN = 3


class UnreadNotice(QFrame):
    """Hidden while there is nothing to tell."""

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("kind", "banner-warning")
        self.setAccessibleName("Places that could not be read")
        self._text = label("", wraps=True)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 8, 16, 8)
        layout.addWidget(self._text)
        self.hide()

    @property
    def text(self) -> str:
        return self._text.text()

    def show_notices(self, notices: Sequence[str]) -> None:
        more = len(notices) - MAX_SHOWN
        lines = [*notices[:MAX_SHOWN], *([f"And {more} more; “slipstream models” names them all."] if more > 0 else [])]
        self._text.setText("\n".join(lines))
        self.setVisible(bool(lines))
