"""Asks once before the window closes over work that would be lost; installs go on at the next start and are not."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtGui import QGuiApplication

from app.jobs.job import Job, JobState
from ui.widgets.banner import BannerArea, Tone

if TYPE_CHECKING:
    from app.services import Services

TOPIC = "closing"


class ClosingQuestion:
    def __init__(self, services: "Services", banners: BannerArea, close: Callable[[], None]):
        self._services = services
        self._banners = banners
        self._close = close
        self._asked: set[int] = set()  # the jobs that a person has been asked about
        self.is_silent: Callable[[], bool] = lambda: False  # nobody is there to answer: a signal ends the application

    def holds_back(self) -> bool:
        """Whether the window has to stay: it asks. Who closes it once more has answered."""
        jobs = [job for job in self._lost() if job.id not in self._asked]
        if not jobs or self.is_silent() or _is_session_ending():
            return False
        self._asked.update(job.id for job in jobs)
        self._banners.withdraw(TOPIC)
        quit_now = ("Quit anyway", self._close)
        self._banners.show_banner(Tone.WARNING, _sentence(jobs), (quit_now,), topic=TOPIC, dismiss="Keep running")
        return True

    def _lost(self) -> list[Job]:
        if "jobs" not in self._services.__dict__:  # nobody has begun one, and the end is no time to make the queue
            return []
        at_work = [job for job in self._services.jobs.jobs() if job.state in (JobState.RUNNING, JobState.WAITING)]
        return [job for job in at_work if self._services.installs.request(job.id) is None]


def _sentence(jobs: list[Job]) -> str:
    first, more = jobs[0], len(jobs) - 1
    if not more:
        return f"“{first.title}” is still running ({first.fraction:.0%}). Quitting loses what it has done."
    others = "1 other job" if more == 1 else f"{more} other jobs"
    return f"“{first.title}” and {others} are still running. Quitting loses what they have done."


def _is_session_ending() -> bool:
    application = QGuiApplication.instance()
    return isinstance(application, QGuiApplication) and application.isSavingSession()
