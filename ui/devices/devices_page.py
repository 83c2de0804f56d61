"""Devices and builds: problems with their cures, this machine, and the engine builds with how each did."""

from collections.abc import Iterable

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QFormLayout, QFrame, QHBoxLayout, QVBoxLayout, QWidget

from app.builds.doctor import Findings, problems
from app.builds.words import machine_rows
from ui.devices.build_card import BuildCard
from ui.devices.devices_desk import DevicesDesk
from ui.devices.problem_row import ProblemRow
from ui.gpu_desk import GpuDesk
from ui.widgets.labels import button, label, restyle, rule
from ui.widgets.page_column import PageColumn

LEAD = "What computes here, what keeps it from being faster, and which engine build is used."
LOOKING = "Each build is asked what it finds here. This takes a few seconds…"
SOUND = "No problem found."


class DevicesPage(QWidget):
    left = Signal()
    reload_wanted = Signal()  # another build holds from the next load on

    def __init__(self, desk: DevicesDesk, gpu: GpuDesk):
        super().__init__()
        self._desk = desk
        self._gpu = gpu
        self._shown: Findings | None = None
        self.back = button("Back", "quiet")
        self.again = button("Look again")
        self.status = label("", "muted", wraps=True)
        self._problems, self._machine, self._builds = _Card("Problems"), _Card("This machine"), _Card("Engine builds")
        self.automatic = button("Automatic", name="Choose the engine build automatically")
        self.make = button("Build for the GPU")
        self.cancel = button("Cancel", name="Cancel the engine build")
        self.making = label("", "caption", wraps=True)
        self._lay_out()

        self.back.clicked.connect(self.left)
        self.again.clicked.connect(desk.look)
        self.automatic.clicked.connect(lambda: self._choose(None))
        self.make.clicked.connect(gpu.make)
        self.cancel.clicked.connect(gpu.cancel)
        desk.changed.connect(self._refresh)
        desk.failed.connect(self.status.setText)
        gpu.changed.connect(self._refresh_making)
        gpu.made.connect(lambda _: desk.look())
        gpu.chosen.connect(self._look_if_seen)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._gpu.look()
        self._desk.look()

    def _choose(self, name: str | None) -> None:
        self._gpu.choose(name)
        self.reload_wanted.emit()

    def _look_if_seen(self) -> None:
        if self.isVisible():
            self._desk.look()

    def _refresh(self) -> None:
        findings, desk = self._desk.findings, self._desk
        self.again.setEnabled(not desk.is_looking)
        if findings is None:
            self.status.setText(LOOKING if desk.is_looking else self.status.text())
            return
        found = problems(findings)
        self.status.setText(LOOKING if desk.is_looking else "" if found else SOUND)
        restyle(self.status, "kind", "good" if not found and not desk.is_looking else "muted")
        self.status.setVisible(bool(self.status.text()))
        if findings is not self._shown:
            self._shown = findings
            self._show(findings)

    def _show(self, findings: Findings) -> None:
        found = problems(findings)
        self._problems.show_rows(map(ProblemRow, found))
        self._problems.setVisible(bool(found))
        self._machine.show_rows([_form(machine_rows(findings.machine))])
        self._machine.show()
        cards = [BuildCard(findings, build) for build in findings.builds]
        for card in cards:
            card.chosen.connect(self._choose)
        self._builds.show_rows(cards)
        self._builds.show()
        self.automatic.setEnabled(findings.wanted is not None)
        self._refresh_making()

    def _refresh_making(self) -> None:
        job, is_making = self._gpu.job, self._gpu.is_making
        self.make.setVisible(self._gpu.can_make)
        self.cancel.setVisible(is_making)
        self.making.setVisible(is_making)
        if job is not None and is_making:
            self.making.setText(f"{job.steps[job.step]}: {job.fraction:.0%}{f', {job.text}' if job.text else ''}")

    def _lay_out(self) -> None:
        column = PageColumn("Devices and builds", LEAD)
        for widget in (self.status, self._problems, self._machine, self._builds):
            column.rows.addWidget(widget)
        for card in (self._problems, self._machine, self._builds):
            card.hide()
        for each in (self.making, self.make, self.cancel, self.automatic):
            self._builds.head.addWidget(each)
        for each in (self.making, self.make, self.cancel):
            each.hide()
        column.rows.addStretch(1)
        top = QHBoxLayout()
        top.setContentsMargins(24, 12, 24, 0)
        top.addWidget(self.back)
        top.addStretch(1)
        top.addWidget(self.again)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(top)
        layout.addWidget(column, 1)


class _Card(QFrame):
    """A title, and rows that are made anew each time."""

    def __init__(self, title: str):
        super().__init__()
        self.setProperty("kind", "card")
        self.head = QHBoxLayout()
        self.head.setSpacing(8)
        self.head.addWidget(label(title, "section"))
        self.head.addStretch(1)
        self._rows = QVBoxLayout()
        self._rows.setSpacing(12)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 16, 24, 16)
        layout.setSpacing(12)
        layout.addLayout(self.head)
        layout.addLayout(self._rows)

    def show_rows(self, rows: Iterable[QWidget]) -> None:
        while (item := self._rows.takeAt(0)) is not None:
            if widget := item.widget():
                widget.hide()
                widget.deleteLater()
        for row in rows:
            self._rows.addWidget(rule())
            self._rows.addWidget(row)


def _form(rows: list[tuple[str, str]]) -> QWidget:
    result = QWidget()
    form = QFormLayout(result)
    form.setContentsMargins(0, 0, 0, 0)
    form.setHorizontalSpacing(24)
    form.setVerticalSpacing(8)
    form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft)
    for title, text in rows:
        value = label(text, wraps=True)
        value.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        form.addRow(label(title, "muted"), value)
    return result
