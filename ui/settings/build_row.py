"""The engine build: a choice of those that are here, and the making of one for this machine's GPU."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from ui.gpu_desk import GpuDesk
from ui.settings.fields import CONTROL_WIDTH, Choice
from ui.settings.settings_desk import SettingsDesk
from ui.widgets.labels import button, label

AUTOMATIC = ("Automatic", None)
WHY = "llama.cpp, compiled for this machine. A new one is tried against the one before, and left if it does worse."


class BuildRow(QWidget):
    picked = Signal()  # another one holds from the next load on
    devices_wanted = Signal()

    def __init__(self, desk: GpuDesk, settings: SettingsDesk):
        super().__init__()
        self._desk = desk
        self._settings = settings
        self.status = label("", "caption", wraps=True)
        self.make = button("Build for the GPU")
        self.cancel = button("Cancel", name="Cancel the engine build")
        self._texts = QVBoxLayout()
        self._texts.setSpacing(0)
        self._texts.addWidget(label("Engine build", "strong"))
        self._texts.addWidget(label(WHY, "caption", wraps=True))
        self._texts.addWidget(self.status)
        self.devices = button("Devices and builds…", "link")
        self._texts.addWidget(self.devices, 0, Qt.AlignmentFlag.AlignLeft)
        self.choice = self._make_choice()
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(24)
        self._row.addLayout(self._texts, 1)
        self._row.addWidget(self.make)
        self._row.addWidget(self.cancel)
        self._row.addWidget(self.choice)

        self.make.clicked.connect(desk.make)
        self.cancel.clicked.connect(desk.cancel)
        self.devices.clicked.connect(self.devices_wanted)
        desk.changed.connect(self._show)
        self._show()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._desk.look()

    def _show(self) -> None:
        view, is_making = self._desk.view, self._desk.is_making
        self.make.setVisible(self._desk.can_make)
        self.cancel.setVisible(is_making)
        self.status.setText(self._status())  # a line that stays: what stands below it does not move
        names = (None, *(view.names if view else ()))
        if tuple(self.choice.values) != names:
            self._renew_choice()

    def _status(self) -> str:
        job, view = self._desk.job, self._desk.view
        if job is not None and self._desk.is_making:
            step = job.steps[job.step]
            return f"{step}: {job.fraction:.0%}{f', {job.text}' if job.text else ''}"
        if view is None:
            return ""
        return view.idle or f"In use: {view.active_title}."

    def _renew_choice(self) -> None:
        old, self.choice = self.choice, self._make_choice()
        self._row.replaceWidget(old, self.choice)
        old.hide()
        old.deleteLater()

    def _make_choice(self) -> Choice:
        view = self._desk.view
        builds = list(zip(view.titles, view.names, strict=True)) if view else []
        choice = Choice([AUTOMATIC, *builds], self._settings.settings.engine_build)
        choice.setAccessibleName("Engine build")
        choice.setAccessibleDescription(WHY)
        choice.setFixedWidth(CONTROL_WIDTH)
        choice.picked.connect(self._choose)
        return choice

    def _choose(self, name: str | None) -> None:
        self._desk.choose(name)
        self.picked.emit()
