"""One job: its title, what it does now, how far it is, and a way to call it off, or to put it away."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QProgressBar, QVBoxLayout

from app.jobs.job import Job, JobState
from ui.widgets.labels import button, label, restyle

STEPS = 1000


class JobRow(QFrame):
    cancel_clicked = Signal(int)
    dismissed = Signal(int)  # one that has failed has been read

    def __init__(self, job: Job, is_dismissable: bool = False, lies_over: bool = False):
        """lies_over: other things, so it has a ground of its own."""
        super().__init__()
        self.setProperty("kind", "note" if lies_over else "")
        self.job = job
        self._is_dismissable = is_dismissable
        self._title = label(job.title, "strong")
        self._mark = label("Failed", "failed")
        self._step = label("", "caption", wraps=True)
        self._bar = QProgressBar()
        self._bar.setRange(0, STEPS)
        self._bar.setTextVisible(False)
        self._bar.setAccessibleName(f"Progress: {job.title}")
        self._cancel = button("Cancel")
        texts = QVBoxLayout()
        texts.setSpacing(4)
        top = QHBoxLayout()
        top.setSpacing(8)
        top.addWidget(self._title)
        top.addWidget(self._mark)
        top.addStretch(1)
        texts.addLayout(top)
        for widget in (self._bar, self._step):
            texts.addWidget(widget)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(*((16, 12, 16, 12) if lies_over else (0, 0, 0, 0)))
        layout.setSpacing(16)
        layout.addLayout(texts, 1)
        layout.addWidget(self._cancel, 0, Qt.AlignmentFlag.AlignVCenter)

        self._cancel.clicked.connect(self._tell)
        self.show_job(job)

    def show_job(self, job: Job) -> None:
        self.job = job
        has_failed = job.state is JobState.FAILED
        self._bar.setValue(int(job.fraction * STEPS))
        self._bar.setVisible(not has_failed)  # an empty bar would look like a beginning
        self._mark.setVisible(has_failed)
        restyle(self._step, "kind", "problem" if has_failed else "caption")
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
