"""The card of the model that is looked at: fetched, measured, shown. Knows the lab and one CardView."""

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from app.jobs.job import Job
from app.lab.against import reference_for
from ui.bridge import Bridge
from ui.lab.card_view import CardView
from ui.library.models_model import ModelsModel

if TYPE_CHECKING:
    from app.lab.card import Card
    from app.library.entry import ModelEntry
    from app.services import Services


class QualityDesk(QObject):
    def __init__(self, services: "Services", bridge: Bridge, models: ModelsModel, view: CardView):
        super().__init__(view)
        self._services = services
        self._bridge = bridge
        self._models = models
        self._view = view
        self._entry: ModelEntry | None = None
        self._cards: dict[str, Card] = {}  # by path
        self._asked: set[str] = set()  # paths whose cards are here or on their way
        self._jobs: dict[str, Job] = {}  # by path: the measuring that goes on
        self._paths: dict[int, str] = {}  # of the models that jobs measure
        view.measure_clicked.connect(self._measure)
        view.cancel_clicked.connect(services.jobs.cancel)
        view.dismissed.connect(self._forget_job)
        bridge.job_changed.connect(self._take_job)

    def show_entry(self, entry: "ModelEntry") -> None:
        self._entry = entry
        self._show()
        path = str(entry.path)
        if path not in self._asked and entry.is_offered and entry.is_read:
            self._asked.add(path)
            self._fetch(entry)

    def _fetch(self, entry: "ModelEntry") -> None:
        work = partial(self._services.lab.cards_of, entry.path)
        self._bridge.call(work, partial(self._take_cards, str(entry.path)), lambda _: None)

    def _take_cards(self, path: str, cards: "list[Card]") -> None:
        if cards:
            self._cards[path] = cards[0]
        self._show()

    def _measure(self) -> None:
        if self._entry is not None:
            job_id = self._services.measure_model(self._entry, reference_for(self._entry, self._models.entries))
            self._paths[job_id] = str(self._entry.path)

    def _take_job(self, job: Job) -> None:
        path = self._paths.get(job.id)
        if path is None:
            return
        self._jobs[path] = job
        if job.state.is_final and not job.error:
            self._asked.discard(path)  # there is a newer one; it is fetched once the model is looked at
        if self._entry is not None:
            self.show_entry(self._entry)

    def _forget_job(self, job_id: int) -> None:
        self._jobs.pop(self._paths.pop(job_id), None)
        self._show()

    def _show(self) -> None:
        if self._entry is None:
            return
        path = str(self._entry.path)
        against = reference_for(self._entry, self._models.entries)
        self._view.setVisible(self._entry.is_offered)
        self._view.show_card(self._cards.get(path), against.name if against else None)
        self._view.show_job(self._jobs.get(path))
