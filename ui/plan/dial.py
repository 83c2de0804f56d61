"""A choice on a slider with stops: its title, what it costs and gains, what is chosen, or that the machine chooses."""

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QHBoxLayout, QSlider, QVBoxLayout, QWidget

from ui.widgets.labels import button, label

TEXT_WIDTH, VALUE_WIDTH, SLIDER_WIDTH = 248, 144, 120


class Dial(QWidget):
    picked = Signal(object)  # one of the stops, or None: left to the machine

    def __init__(self, title: str, explanation: str, *, may_be_automatic: bool = False):
        super().__init__()
        self._title = title
        self._stops: Sequence[Any] = ()
        self.slider = _Slider(Qt.Orientation.Horizontal)
        self.slider.setMinimumWidth(SLIDER_WIDTH)
        self.slider.setPageStep(4)
        self.slider.setAccessibleDescription(explanation)
        self.value = label("")
        self.value.setFixedWidth(VALUE_WIDTH)
        self.automatic = button("Automatic", "choice", f"Leave it to the machine: {title}")
        self.automatic.setCheckable(True)
        self.automatic.setVisible(may_be_automatic)
        texts = QVBoxLayout()
        texts.setSpacing(0)
        name = label(title, "strong")
        name.setBuddy(self.slider)
        texts.addWidget(name)
        texts.addWidget(label(explanation, "caption", wraps=True))
        holder = QWidget()
        holder.setLayout(texts)
        texts.setContentsMargins(0, 0, 0, 0)
        holder.setFixedWidth(TEXT_WIDTH)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(16)
        row.addWidget(holder)
        row.addWidget(self.slider, 1)
        row.addWidget(self.value)
        row.addWidget(self.automatic)
        keeps_place = self.automatic.sizePolicy()
        keeps_place.setRetainSizeWhenHidden(True)  # the sliders stand under each other
        self.automatic.setSizePolicy(keeps_place)

        self.slider.valueChanged.connect(lambda at: self.picked.emit(self._stops[at]))
        self.automatic.clicked.connect(lambda: self.picked.emit(None))

    def show_stops(self, stops: Sequence[Any]) -> None:
        self._stops = stops
        self.slider.blockSignals(True)
        self.slider.setRange(0, max(0, len(stops) - 1))
        self.slider.blockSignals(False)
        self.setEnabled(len(stops) > 1)

    def show_value(self, value: Any, text: str, *, is_automatic: bool = False) -> None:
        """value: the nearest stop below it is shown. text: what is chosen, in words."""
        at = max((number for number, stop in enumerate(self._stops) if _is_reached(stop, value)), default=0)
        if not self.slider.isSliderDown():  # the hand that drags it knows better
            self.slider.blockSignals(True)
            self.slider.setValue(at)
            self.slider.blockSignals(False)
        self.value.setText(text)
        self.slider.setAccessibleName(f"{self._title}: {text}")
        self.automatic.setChecked(is_automatic)


class _Slider(QSlider):
    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()  # it is the page's


def _is_reached(stop: Any, value: Any) -> bool:
    return bool(stop <= value) if isinstance(stop, int) else stop == value
