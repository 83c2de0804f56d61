"""The card of the model that is looked at: finds it, has it measured, follows the job. Knows no widget."""

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from app.jobs.job import Job, JobState
from app.lab.against import reference_for
from app.lab.card import Card
from ui.bridge import Bridge

if TYPE_CHECKING:
    from app.library.entry import ModelEntry
    from app.services import Services


class CardDesk(QObject):
    changed = Signal()  # card, against or job
    cards_changed = Signal()  # a new one is on the shelf

    def __init__(self, services: "Services", bridge: Bridge):
        super().__init__(bridge)
        self._services = services
        self._bridge = bridge
        self._jobs: dict[str, int] = {}  # by the model's id
        self.entry: ModelEntry | None = None
        self.card: Card | None = None
        self.against: ModelEntry | None = None
        self.job: Job | None = None
        bridge.job_changed.connect(self._take)

    def look_at(self, entry: "ModelEntry | None", entries: "list[ModelEntry]") -> None:
        """entries: the library, in which a file to compare with is looked for."""
        is_other = self.entry is None or entry is None or entry.path != self.entry.path
        self.entry = entry
        self.against = reference_for(entry, entries) if entry else None
        if is_other:
            self.card = None
            job_id = self._jobs.get(entry.id) if entry else None
            self.job = self._services.jobs.job(job_id) if job_id is not None else None
            self._find()
        self.changed.emit()

    def measure(self) -> None:
        assert self.entry
        job_id = self._services.measure_model(self.entry, self.against)
        self._jobs[self.entry.id] = job_id
        self.job = self._services.jobs.job(job_id)
        self.changed.emit()

    def cancel(self, job_id: int) -> None:
        self._services.jobs.cancel(job_id)

    def _find(self) -> None:
        if self.entry is None or self.entry.is_checkpoint or self.entry.problem:
            return
        path = self.entry.path
        self._bridge.call(partial(self._services.lab.cards_of, path), partial(self._show, path), lambda _error: None)

    def _show(self, path: object, cards: list[Card]) -> None:
        if self.entry is not None and self.entry.path == path and cards:
            self.card = next((card for card in cards if card.kld), cards[0])  # a newer one may know speed alone
            self.changed.emit()

    def _take(self, job: Job) -> None:
        if job.id not in self._jobs.values():
            return
        if job.state is JobState.DONE:
            self.cards_changed.emit()
        if self.entry is not None and self._jobs.get(self.entry.id) == job.id:
            self.job = job
            if job.state is JobState.DONE:
                self._find()
            self.changed.emit()
