"""The settings' fields: each with a title, a control, and a line on what it costs and gains."""

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QComboBox, QDoubleSpinBox, QHBoxLayout, QLabel, QSpinBox, QVBoxLayout, QWidget

from ui.widgets.labels import label

CONTROL_WIDTH = 200


class Choice(QComboBox):
    """A combo box of (title, value) that leaves the wheel to the page."""

    picked = Signal(object)

    def __init__(self, options: Sequence[tuple[str, Any]], value: Any):
        super().__init__()
        self.values = [option for _, option in options]  # Qt would hand an enum back as a plain string
        self.addItems([title for title, _ in options])
        self.setCurrentIndex(self.values.index(value) if value in self.values else 0)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.activated.connect(lambda number: self.picked.emit(self.values[number]))

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()


class Number(QSpinBox):
    """A number, or None, which is shown as `automatic` when that is given."""

    picked = Signal(object)

    def __init__(self, low: int, high: int, value: int | None, automatic: str | None = None, step: int = 1):
        super().__init__()
        self._automatic = automatic
        self._low = low
        # the place below the lowest number stands for None
        self.setRange(low - step if automatic else low, high)
        self.setSingleStep(step)
        self.setGroupSeparatorShown(True)
        if automatic:
            self.setSpecialValueText(automatic)
        self.setValue(self.minimum() if value is None else value)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.editingFinished.connect(self._tell)
        self.setKeyboardTracking(False)
        self.valueChanged.connect(self._tell)

    def chosen(self) -> int | None:
        return None if self._automatic and self.value() < self._low else self.value()

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()

    def _tell(self) -> None:
        self.picked.emit(self.chosen())


class Decimal(QDoubleSpinBox):
    picked = Signal(object)

    def __init__(self, low: float, high: float, value: float):
        super().__init__()
        self.setRange(low, high)
        self.setSingleStep(0.1)
        self.setDecimals(2)
        self.setValue(value)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setKeyboardTracking(False)
        self.valueChanged.connect(lambda value: self.picked.emit(value))

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()


class Field(QWidget):
    """A row: title and explanation at the left, the control at the right."""

    def __init__(self, title: str, explanation: str, control: QWidget):
        super().__init__()
        name = label(title, "strong")
        name.setBuddy(control)
        control.setAccessibleName(title)
        control.setAccessibleDescription(explanation)
        control.setFixedWidth(CONTROL_WIDTH)
        texts = QVBoxLayout()
        texts.setSpacing(0)
        texts.addWidget(name)
        texts.addWidget(_explanation(explanation))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(24)
        row.addLayout(texts, 1)
        row.addWidget(control, 0, Qt.AlignmentFlag.AlignVCenter)


def _explanation(text: str) -> QLabel:
    return label(text, "caption", wraps=True)
