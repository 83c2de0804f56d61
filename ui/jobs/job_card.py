"""One job that is not finished: its title, its steps, one bar, what it does now, and what a person can do about it."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QProgressBar, QVBoxLayout

from app.jobs.job import Job, JobState
from ui.jobs.step_track import StepTrack
from ui.theme import Theme
from ui.widgets.labels import button, label, restyle

PARTS = 1000  # of the bar


class JobCard(QFrame):
    pause_clicked = Signal(int)
    resume_clicked = Signal(int)
    cancel_clicked = Signal(int)

    def __init__(self, job: Job, theme: Theme):
        super().__init__()
        self.job = job
        self.setProperty("kind", "card")
        self.setAccessibleName(job.title)
        self._title = label(job.title, "strong", wraps=True)
        self._mark = label("Failed", "failed")
        self.pause = button("Pause", name=f"Pause: {job.title}")
        self.resume = button("Resume")
        self.cancel = button("Cancel", "quiet")
        self._track = StepTrack(theme, job.steps)
        self._bar = QProgressBar()
        self._bar.setRange(0, PARTS)
        self._bar.setTextVisible(False)
        self._bar.setAccessibleName(f"Progress: {job.title}")
        self.text = label("", "caption", wraps=True)
        self._lay_out()

        self.pause.clicked.connect(lambda: self.pause_clicked.emit(self.job.id))
        self.resume.clicked.connect(lambda: self.resume_clicked.emit(self.job.id))
        self.cancel.clicked.connect(lambda: self.cancel_clicked.emit(self.job.id))
        self.show_job(job)

    def show_job(self, job: Job) -> None:
        self.job = job
        has_focus = self.pause.hasFocus() or self.resume.hasFocus()
        is_at_work = job.state in (JobState.RUNNING, JobState.WAITING)
        has_failed = job.state is JobState.FAILED
        self.pause.setVisible(is_at_work)
        self.resume.setVisible(job.state is JobState.PAUSED or has_failed)
        if has_focus:  # the one that was pressed has gone
            (self.pause if is_at_work else self.resume).setFocus(Qt.FocusReason.OtherFocusReason)
        self.resume.setText("Retry" if has_failed else "Resume")
        self.resume.setAccessibleName(f"{self.resume.text()}: {job.title}")
        self.cancel.setText("Remove" if has_failed else "Cancel")
        self.cancel.setAccessibleName(f"{self.cancel.text()}: {job.title}")
        self._track.show_step(job.step, is_done=False, has_failed=has_failed)
        self._bar.setValue(int(job.fraction * PARTS))
        self._bar.setVisible(not has_failed)  # an empty bar would look like a beginning
        self._mark.setVisible(has_failed)
        restyle(self.text, "kind", "problem" if has_failed else "caption")
        self.text.setText(describe(job))

    def _lay_out(self) -> None:
        top = QHBoxLayout()
        top.setSpacing(8)
        top.addWidget(self._title, 1)
        top.addWidget(self._mark)
        for control in (self.pause, self.resume, self.cancel):
            top.addWidget(control)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 16, 16, 16)
        layout.setSpacing(8)
        layout.addLayout(top)
        for widget in (self._track, self._bar, self.text):
            layout.addWidget(widget)


def describe(job: Job) -> str:
    """The line under the bar."""
    match job.state:
        case JobState.FAILED:
            return job.error or "It failed."
        case JobState.WAITING:
            return "Waiting for its turn"
        case JobState.PAUSED:
            return f"Paused at {job.fraction:.0%}" if job.fraction else "Paused"
    return job.text or f"{job.steps[job.step]} …"
