"""Installs and removes models for programs at the port: by the window's road, with its checks of names and files."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from app.errors import AlreadyThere, ModelFileError, UnknownModelError
from app.library.library import Library
from app.library.origin import Origin
from app.library.own_models import GUIDE, SMOLLM2
from app.server.core.keeping import Pull, PullState

if TYPE_CHECKING:
    from app.hub.client import HubClient
    from app.jobs.handle import JobHandle
    from app.jobs.installs import Installs
    from app.jobs.queue import JobQueue

HUB_NAMES = ("hf.co/", "huggingface.co/")  # before a repository's, as Ollama writes it
LATEST = ":latest"


class _JobPull:
    def __init__(self, handle: "JobHandle", num_bytes: int, rest: Callable[[], None]):
        self._handle = handle
        self._num_bytes = num_bytes
        self._rest = rest

    def state(self) -> PullState:
        from app.jobs.job import JobState

        job = self._handle.job
        status = f"{job.steps[job.step]} {job.text}".strip() if job.steps else job.title
        stopped = job.state in (JobState.PAUSED, JobState.CANCELLED)
        error = job.error or (f"The download was {job.state.value} in Slipstream." if stopped else None)
        return PullState(status, job.fraction, self._num_bytes, job.state is JobState.DONE, error)

    def leave(self) -> None:
        self._rest()


class Keeper:
    """The parts are made when they are first needed: most ports install nothing."""

    def __init__(
        self,
        library: Library,
        hub: Callable[[], "HubClient"],
        installs: Callable[[], "Installs"],
        jobs: Callable[[], "JobQueue"],
        own: Callable[[str], int],
    ):
        """own: begins the install of one of our own models, by its word, and returns the job's id."""
        self._library = library
        self._hub = hub
        self._installs = installs
        self._jobs = jobs
        self._own = own

    def pull(self, name: str) -> Pull | None:
        from dataclasses import replace

        from app.jobs.choice import choose, parse_name

        name = _without_host(name).removesuffix(LATEST)
        if self._is_here(name):
            return None
        if name.casefold() in (GUIDE.word, SMOLLM2.word):
            handle = self._jobs().handle(self._own(name.casefold()))
            return _JobPull(handle, 0, lambda: None)
        wanted = parse_name(name)
        request = choose(self._hub().repository(wanted.repository_id), wanted, converts=True)
        request = replace(request, has_card=False)  # nobody waits at a client for measurements
        installs = self._installs()
        try:
            job_id = installs.install(request)
        except AlreadyThere as there:
            if there.model_id is not None:
                return None
            if there.job_id is None:
                raise
            # another has asked for it, and decides when it rests
            return _JobPull(self._jobs().handle(there.job_id), request.download_bytes, lambda: None)
        handle = self._jobs().handle(job_id)
        return _JobPull(handle, request.download_bytes, lambda: installs.pause(job_id))

    def remove(self, name: str) -> None:
        entries = {entry.id: entry for entry in self._library.look(0.0).entries}
        entry = entries.get(name) or entries.get(name.removesuffix(LATEST))
        if entry is None:
            raise UnknownModelError(f"Slipstream has installed no model of the id “{name[:80]}”, and removes no other.")
        if entry.origin is Origin.MANAGED and not self._library.store.is_installed(entry):
            raise ModelFileError(f"{entry.name} was not installed by Slipstream. Remove it in the window.")
        self._library.remove(entry.id)

    def _is_here(self, name: str) -> bool:
        return any(entry.id == name and entry.problem is None for entry in self._library.look(0.0).entries)


def _without_host(name: str) -> str:
    return next((name[len(host) :] for host in HUB_NAMES if name.startswith(host)), name)
