"""What the view of speeds asks of the application: runs, jobs, tunings. All on workers; knows no widget."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from app.jobs.job import Job, JobState
from app.library.defaults import NO_DEFAULTS
from ui.bridge import Bridge
from ui.library.models_model import ModelsModel

if TYPE_CHECKING:
    from app.bench.history import Run
    from app.bench.tuned import Purpose, Tuned
    from app.library.defaults import ModelDefaults
    from app.library.entry import ModelEntry
    from app.services import Services


class SpeedDesk(QObject):
    runs_changed = Signal()
    tuned_changed = Signal()  # of the model and purpose that are looked at, or the model's defaults
    job_changed = Signal()
    refused = Signal(str)

    def __init__(self, services: "Services", bridge: Bridge, models: ModelsModel, parent: QObject):
        super().__init__(parent)
        self._services = services
        self._bridge = bridge
        self._models = models
        self.runs: list[Run] = []
        self.job: Job | None = None  # at work, or the last one if it has failed
        self.entry: ModelEntry | None = None
        self.tuned: Tuned | None = None
        self.defaults = NO_DEFAULTS  # of the model that is looked at
        self.can_undo = False
        self._purpose: Purpose | None = None
        self._ids: set[int] = set()
        bridge.job_changed.connect(self._take_job)
        models.refreshed.connect(self._renew)

    @property
    def is_at_work(self) -> bool:
        return self.job is not None and not self.job.state.is_final

    def refresh(self) -> None:
        self._bridge.call(lambda: self._services.workbench.history.runs(), self._take_runs, self._refuse)

    def look_at(self, entry: "ModelEntry | None", purpose: "Purpose") -> None:
        if entry is None or self.entry is None or (entry.path, purpose) != (self.entry.path, self._purpose):
            self.tuned, self.defaults, self.can_undo = None, NO_DEFAULTS, False
        self.entry, self._purpose = entry, purpose
        self.tuned_changed.emit()
        if entry is not None:
            work = partial(self._tuned_of, entry, purpose)
            self._bridge.call(work, partial(self._take_tuned, entry.path, purpose), lambda _: None)

    def measure(self) -> None:
        if self.entry is not None:
            self._ids.add(self._services.bench_model(self.entry))

    def tune(self) -> None:
        if self.entry is not None and self._purpose is not None:
            self._ids.add(self._services.tune_model(self.entry, self._purpose))

    def cancel(self) -> None:
        if self.job is not None and not self.job.state.is_final:
            self._services.jobs.cancel(self.job.id)

    def dismiss(self) -> None:
        self.job = None
        self.job_changed.emit()

    def apply(self, takes_offer: bool) -> None:
        entry, tuned = self.entry, self.tuned
        if entry is not None and tuned is not None:
            work = partial(self._services.workbench.apply, entry, tuned, takes_offer=takes_offer)
            self._bridge.call(work, lambda _: self._renew(), self._refuse)

    def undo(self) -> None:
        if self.entry is not None:
            work = partial(self._services.workbench.undo, self.entry)
            self._bridge.call(work, lambda _: self._renew(), self._refuse)

    def bring_in(self, file: Path) -> None:
        work = partial(self._services.workbench.history.bring_in, file)
        self._bridge.call(work, lambda _: self.refresh(), self._refuse)

    def remove(self, run: "Run") -> None:
        work = partial(self._services.workbench.history.remove, run.id)
        self._bridge.call(work, lambda _: self.refresh(), self._refuse)

    def _tuned_of(self, entry: "ModelEntry", purpose: "Purpose") -> "tuple[Tuned | None, ModelDefaults, bool]":
        bench = self._services.workbench
        return bench.tuned(entry, purpose), bench.defaults(entry), bench.can_undo(entry)

    def _take_runs(self, runs: "list[Run]") -> None:
        self.runs = runs
        self.runs_changed.emit()

    def _take_tuned(self, path: Path, purpose: "Purpose", found: "tuple[Tuned | None, ModelDefaults, bool]") -> None:
        if self.entry is not None and (self.entry.path, self._purpose) == (path, purpose):
            self.tuned, self.defaults, self.can_undo = found
            self.tuned_changed.emit()

    def _take_job(self, job: Job) -> None:
        if job.id not in self._ids:
            return
        if job.state.is_final:
            self._ids.discard(job.id)
            if job.state is JobState.DONE:
                self.refresh()
                self._renew()
        self.job = job if job.error or not job.state.is_final else None
        self.job_changed.emit()

    def _renew(self) -> None:
        """The model that is looked at may have other defaults now, or have been tuned."""
        if self.entry is not None and self._purpose is not None:
            self.look_at(self._models.find(self.entry.id), self._purpose)

    def _refuse(self, error: Exception) -> None:
        self.refused.emit(str(error))
