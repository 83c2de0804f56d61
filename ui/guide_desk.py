"""The bundled model on its way into the library, and into the engine once it is there. Knows no widget."""

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from app.guide import GUIDE_DIR
from app.jobs.job import Job, JobState
from ui.bridge import Bridge
from ui.engine_desk import EngineDesk
from ui.library.models_model import ModelsModel

if TYPE_CHECKING:
    from app.services import Services


class GuideDesk(QObject):
    changed = Signal()

    def __init__(self, services: "Services", bridge: Bridge, desk: EngineDesk, models: ModelsModel):
        super().__init__(bridge)
        self._services = services
        self._desk = desk
        self._models = models
        self._job_id: int | None = None
        self._is_wanted = False  # load it as soon as the library knows it
        self.job: Job | None = None
        self.num_bytes = guide_bytes()
        bridge.job_changed.connect(self._take)
        models.refreshed.connect(self._load_if_wanted)

    def install(self) -> None:
        """One click: from here it goes by itself until the model answers."""
        self._job_id = self._services.install_guide()
        self.job = self._services.jobs.job(self._job_id)
        self.changed.emit()

    def _take(self, job: Job) -> None:
        if job.id != self._job_id:
            return
        self.job = None if job.state in (JobState.DONE, JobState.CANCELLED) else job
        if job.state is JobState.DONE:
            self._is_wanted = True
            self._models.refresh()
        self.changed.emit()

    def _load_if_wanted(self) -> None:
        entry = self._models.at(self._services.guide_path)
        if self._is_wanted and entry:
            self._is_wanted = False
            self._desk.load(entry)


def guide_bytes() -> int | None:
    """How much the checkpoint weighs; None while it is not there."""
    return sum(file.stat().st_size for file in GUIDE_DIR.rglob("*.safetensors")) or None
