"""A caption over a value. What is not known takes no room."""

from PySide6.QtWidgets import QVBoxLayout, QWidget

from ui.figures import UNKNOWN
from ui.widgets.labels import label


class Figure(QWidget):
    def __init__(self, caption: str, tooltip: str = ""):
        super().__init__()
        self._caption = label(caption, "caption")
        self._value = label(UNKNOWN, "value")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addStretch(1)
        layout.addWidget(self._caption)
        layout.addWidget(self._value)
        layout.addStretch(1)
        self.setToolTip(tooltip)
        self._name()

    @property
    def value(self) -> str:
        return self._value.text()

    @property
    def caption(self) -> str:
        return self._caption.text()

    @property
    def is_known(self) -> bool:
        return self.value != UNKNOWN

    def set(self, value: str, tooltip: str | None = None, caption: str | None = None) -> None:
        if tooltip is not None and tooltip != self.toolTip():
            self.setToolTip(tooltip)
        if value == self.value and caption in (None, self.caption):
            return  # nothing is laid out or painted anew
        self._value.setText(value)
        if caption is not None:
            self._caption.setText(caption)
        self._name()

    def _name(self) -> None:
        self.setAccessibleName(f"{self.caption}: {self.value}")
