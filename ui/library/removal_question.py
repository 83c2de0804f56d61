"""Asks before a model is deleted: every file that would go, and what that frees."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from backends.bounds import printable
from ui.figures import size
from ui.widgets.labels import button, label

if TYPE_CHECKING:
    from app.library.store import Removal

MAX_LISTED = 12


class RemovalQuestion(QWidget):
    agreed = Signal(object)  # Removal
    declined = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._removal: Removal | None = None
        self._question = label("", wraps=True)
        self._files = label("", "caption", wraps=True)
        self.confirm = button("Remove from this machine", "danger")
        self.keep = button("Keep it")
        answers = QHBoxLayout()
        answers.setSpacing(8)
        answers.addWidget(self.confirm)
        answers.addWidget(self.keep)
        answers.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self._question)
        layout.addWidget(self._files)
        layout.addLayout(answers)

        self.confirm.clicked.connect(lambda: self.agreed.emit(self._removal))
        self.keep.clicked.connect(self.declined)

    def ask(self, removal: "Removal") -> None:
        self._removal = removal
        count = len(removal.files)
        what = "1 file" if count == 1 else f"{count} files"
        self._question.setText(f"This deletes {what} and frees {size(removal.bytes)}:")
        lines = [f"{printable(path.name)}    {size(num_bytes)}" for path, num_bytes in removal.files[:MAX_LISTED]]
        rest = [f"and {count - MAX_LISTED} more parts"] if count > MAX_LISTED else []
        stays = ", ".join(printable(path.name) for path in removal.staying[:MAX_LISTED])
        more = f" and {len(removal.staying) - MAX_LISTED} more" if len(removal.staying) > MAX_LISTED else ""
        staying = [f"Not the model's, and left alone: {stays}{more}"] if stays else []
        self._files.setText("\n".join([*lines, *rest, *staying]))
        self.keep.setFocus(Qt.FocusReason.OtherFocusReason)
