"""The engine builds as the window knows them: which is used, whether a GPU lies idle, and one that is being made.

Knows no widget. What touches the disk or asks a driver is done on the bridge's workers.
"""

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from app.builds.view import BuildsView, view_of
from app.jobs.job import Job, JobState
from ui.bridge import Bridge

if TYPE_CHECKING:
    from app.services import Services


class GpuDesk(QObject):
    changed = Signal()
    idle_found = Signal(str)  # the sentence, once
    made = Signal(str)  # a sentence
    chosen = Signal()  # another build, from the next load on
    refused = Signal(str)  # a sentence

    def __init__(self, services: "Services", bridge: Bridge):
        super().__init__(bridge)
        self._services = services
        self._bridge = bridge
        self._told: str | None = None
        self.view: BuildsView | None = None
        self.job: Job | None = None
        bridge.job_changed.connect(self._take_job)

    @property
    def is_making(self) -> bool:
        return self.job is not None and not self.job.state.is_final

    @property
    def can_make(self) -> bool:
        return self.view is not None and self.view.can_make and not self.is_making

    def look(self) -> None:
        self._bridge.call(partial(view_of, self._services.builds), self._take, self._refuse)

    def make(self) -> None:
        if not self.is_making:
            self._bridge.call(self._services.make_build, self._begun, self._refuse)

    def cancel(self) -> None:
        if self.job is not None:
            self._services.jobs.cancel(self.job.id)

    def choose(self, name: str | None) -> None:
        """From the next load on."""
        self._bridge.call(partial(self._services.choose_build, name), lambda _: self._chosen(), self._refuse)

    def _chosen(self) -> None:
        self.look()
        self.chosen.emit()

    def _begun(self, job_id: int) -> None:
        self._take_job(self._services.jobs.job(job_id), is_ours=True)

    def _take(self, view: BuildsView) -> None:
        self.view = view
        if view.idle and view.idle != self._told:
            self._told = view.idle
            self.idle_found.emit(view.idle)
        self.changed.emit()

    def _take_job(self, job: Job, is_ours: bool = False) -> None:
        if not is_ours and (self.job is None or job.id != self.job.id or self.job.state.is_final):
            return
        self.job = job
        if job.state is JobState.DONE:
            build = self._services.jobs.handle(job.id).result
            self.made.emit(f"The engine is built for the {build.made_for}. Load the model again to use it.")
            self._bridge.call(self._services.builds.start, lambda _: self.look(), self._refuse)
        elif job.state is JobState.FAILED:
            self.refused.emit(job.error or "The engine could not be built.")
        self.changed.emit()

    def _refuse(self, error: Exception) -> None:
        self.refused.emit(str(error))
