"""‹ 2/3 › under a message beside which others stand."""

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QWidget

from ui.widgets.labels import button, label


class SiblingSwitcher(QWidget):
    stepped = Signal(int)  # so many places on

    def __init__(self) -> None:
        super().__init__()
        self._place = label("", "caption")
        self.back = button("‹", "step", "Previous version")
        self.on = button("›", "step", "Next version")
        self.back.setToolTip("Previous version (Alt+Left)")
        self.on.setToolTip("Next version (Alt+Right)")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        for widget in (self.back, self._place, self.on):
            row.addWidget(widget)
        self.hide()

        self.back.clicked.connect(lambda: self.stepped.emit(-1))
        self.on.clicked.connect(lambda: self.stepped.emit(1))

    @property
    def place(self) -> str:
        return self._place.text()

    def show_place(self, place: int, num_siblings: int) -> None:
        """place: counted from 0. With one alone there is nothing to switch."""
        self.setVisible(num_siblings > 1)
        self._place.setText(f"{place + 1}/{num_siblings}")
        self._place.setAccessibleName(f"Version {place + 1} of {num_siblings}")
        self.back.setEnabled(place > 0)
        self.on.setEnabled(place < num_siblings - 1)

    def focus(self) -> None:
        """On the way on, or back where that has ended."""
        (self.on if self.on.isEnabled() else self.back).setFocus()
