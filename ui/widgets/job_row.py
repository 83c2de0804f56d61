"""One job: its title, what it does now, how far it is, and a way to call it off, or to put it away."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QProgressBar, QVBoxLayout, QWidget

from app.jobs.job import Job, JobState
from ui.widgets.labels import button, label

STEPS = 1000


class JobRow(QWidget):
    cancel_clicked = Signal(int)
    dismissed = Signal(int)  # one that has failed has been read

    def __init__(self, job: Job, is_dismissable: bool = False):
        super().__init__()
        self.job = job
        self._is_dismissable = is_dismissable
        self._title = label(job.title, "strong")
        self._step = label("", "caption")
        self._bar = QProgressBar()
        self._bar.setRange(0, STEPS)
        self._bar.setTextVisible(False)
        self._bar.setAccessibleName(f"Progress: {job.title}")
        self._cancel = button("Cancel")
        texts = QVBoxLayout()
        texts.setSpacing(4)
        for widget in (self._title, self._bar, self._step):
            texts.addWidget(widget)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(16)
        layout.addLayout(texts, 1)
        layout.addWidget(self._cancel, 0, Qt.AlignmentFlag.AlignVCenter)

        self._cancel.clicked.connect(self._tell)
        self.show_job(job)

    def show_job(self, job: Job) -> None:
        self.job = job
        self._bar.setValue(int(job.fraction * STEPS))
        self._step.setText(describe(job))
        words = "Dismiss" if job.state.is_final else "Cancel"
        self._cancel.setText(words)
        self._cancel.setAccessibleName(f"{words}: {job.title}")
        self._cancel.setVisible(self._is_dismissable or not job.state.is_final)

    def _tell(self) -> None:
        signal = self.dismissed if self.job.state.is_final else self.cancel_clicked
        signal.emit(self.job.id)


def describe(job: Job) -> str:
    if job.state is JobState.WAITING:
        return "Waiting for its turn"
    if job.state is JobState.FAILED:
        return job.error or "It failed."
    if job.state is not JobState.RUNNING:
        return job.state.value.capitalize()
    step = job.steps[job.step] if job.step < len(job.steps) else ""
    text = f" — {job.text}" if job.text and job.text != step else ""
    return f"{step}{text}  ·  {job.fraction:.0%}"
