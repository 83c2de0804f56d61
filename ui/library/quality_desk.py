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
        self._cards: dict[str, Card | None] = {}  # by path, as far as they were asked for
        self._jobs: dict[str, Job] = {}  # by path: the measuring that goes on
        self._paths: dict[int, str] = {}  # of the models that jobs measure
        view.measure_clicked.connect(self._measure)
        view.cancel_clicked.connect(services.jobs.cancel)
        bridge.job_changed.connect(self._take_job)

    def show_entry(self, entry: "ModelEntry") -> None:
        self._entry = entry
        self._show()
        path = str(entry.path)
        if path not in self._cards and not entry.is_checkpoint and entry.is_read:
            self._cards[path] = None
            self._fetch(entry)

    def _fetch(self, entry: "ModelEntry") -> None:
        work = partial(self._services.lab.cards_of, entry.path)
        self._bridge.call(work, partial(self._take_cards, str(entry.path)), lambda _: None)

    def _take_cards(self, path: str, cards: "list[Card]") -> None:
        self._cards[path] = cards[0] if cards else None
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
        if job.state.is_final and not job.error and self._entry is not None and str(self._entry.path) == path:
            self._fetch(self._entry)
        self._show()

    def _show(self) -> None:
        if self._entry is None:
            return
        path = str(self._entry.path)
        against = reference_for(self._entry, self._models.entries)
        self._view.setVisible(not self._entry.is_checkpoint)
        self._view.show_card(self._cards.get(path), against.name if against else None)
        self._view.show_job(self._jobs.get(path))
