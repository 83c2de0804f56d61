"""Downloads: a card for each install at work, and the list of what has arrived."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from app.jobs.install import Installed
from app.jobs.job import Job, JobState, Lane
from app.library.entry import ModelEntry
from ui.bridge import Bridge
from ui.figures import size
from ui.jobs.finished_list import FinishedList
from ui.jobs.finished_model import Finished
from ui.jobs.job_card import JobCard
from ui.theme import Theme
from ui.widgets.labels import button, label
from ui.widgets.page_column import PageColumn

if TYPE_CHECKING:
    from app.services import Services

LEAD = "Downloads resume after a pause, a lost connection or a restart."


class DownloadsPage(PageColumn):
    """Nothing here waits for a disk: what touches one is asked of the bridge's workers."""

    discover_wanted = Signal()
    show_wanted = Signal(str)  # a model's id
    chat_wanted = Signal(str)
    arrived = Signal()  # something is new in the library
    told = Signal(str)  # a sentence for a banner: what could not be done
    at_work_changed = Signal(int)  # how many cards work or wait

    def __init__(self, services: "Services", bridge: Bridge, theme: Theme):
        super().__init__("Downloads", LEAD)
        self._services = services
        self._bridge = bridge
        self._theme = theme
        self.cards: dict[int, JobCard] = {}
        self.finished = FinishedList(theme)
        self.discover = button("Find a model", "primary")
        self._empty = self._make_empty()
        self._cards = QVBoxLayout()
        self._cards.setSpacing(16)
        self.rows.addWidget(self._empty)
        self.rows.addLayout(self._cards)
        self.rows.addWidget(self.finished)
        self.rows.addStretch(1)

        bridge.job_changed.connect(self.show_job)
        self.discover.clicked.connect(self.discover_wanted)
        self.finished.show_clicked.connect(self.show_wanted)
        self.finished.chat_clicked.connect(self.chat_wanted)
        self.finished.cleared.connect(self._clear)
        for job in services.jobs.jobs():
            self.show_job(job)
        self._refresh()

    def show_job(self, job: Job) -> None:
        if job.lane is not Lane.LIGHT:
            return  # it is shown where it was begun
        if job.state in (JobState.DONE, JobState.CANCELLED):
            self._finish(job)
        elif job.id in self.cards:
            self.cards[job.id].show_job(job)
        else:
            self.cards[job.id] = self._make_card(job)
            self._cards.addWidget(self.cards[job.id])
        self._refresh()

    def _make_card(self, job: Job) -> JobCard:
        card = JobCard(job, self._theme)
        installs = self._services.installs
        for signal, act in (
            (card.pause_clicked, installs.pause),
            (card.resume_clicked, installs.resume),
            (card.cancel_clicked, installs.cancel),
        ):
            signal.connect(partial(self._do, act))
        return card

    def _do(self, act: Callable[[int], None], job_id: int) -> None:
        self._bridge.call(partial(act, job_id), lambda _: None, self._tell)

    def _finish(self, job: Job) -> None:
        card = self.cards.pop(job.id, None)
        if card:
            self._cards.removeWidget(card)
            card.hide()
            card.deleteLater()
        if job.state is JobState.DONE and not self.finished.has(job.id):  # the queue may tell it again
            self.finished.add(_finished(job, self._services.jobs.handle(job.id).result))
            self.arrived.emit()

    def _tell(self, error: Exception) -> None:
        self.told.emit(str(error))

    def _clear(self) -> None:
        for job_id in self.finished.empty():
            self._services.jobs.forget(job_id)
        self._refresh()

    def _refresh(self) -> None:
        at_work = [card for card in self.cards.values() if card.job.state in (JobState.RUNNING, JobState.WAITING)]
        self.at_work_changed.emit(len(at_work))
        self._empty.setVisible(not self.cards and not self.finished.model.rows)

    def _make_empty(self) -> QWidget:
        result = QWidget()
        layout = QVBoxLayout(result)
        layout.setContentsMargins(0, 16, 0, 0)
        layout.setSpacing(16)
        layout.addWidget(label("No downloads", "lead"))
        layout.addWidget(self.discover, 0, Qt.AlignmentFlag.AlignLeft)
        return result


def _finished(job: Job, result: object) -> Finished:
    entry = result.entry if isinstance(result, Installed) else result
    note = result.note if isinstance(result, Installed) else ""
    if isinstance(entry, ModelEntry):
        texts = (entry.quantization, size(entry.bytes), note)
        return Finished(job.id, job.title, "  ·  ".join(filter(None, texts)), datetime.now(), entry.id)
    where = str(result.path) if isinstance(result, Installed) else "Done"
    return Finished(job.id, job.title, where, datetime.now())
