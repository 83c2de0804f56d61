"""Installs without a window: the real parts over the double of the Hub, started and ended at will."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.hub.client import HubClient
from app.jobs.choice import choose, parse_name
from app.jobs.install import MakeCard, Tools
from app.jobs.install_request import InstallRequest
from app.jobs.installs import Installs
from app.jobs.job import Job, JobState
from app.jobs.queue import JobQueue
from app.library.store import ModelStore
from app.paths import Paths
from tests.convert import checkpoints
from tests.hub.double import HubDouble, HubRepo

SECONDS = 240
REPO = "org/tiny"


def checkpoint_repo(folder: Path, id_: str = REPO, **changes: int) -> HubRepo:
    """A checkpoint of some 7 MB, or what the changes to its config make of it."""
    checkpoints.write(folder, checkpoints.config(**changes))
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    return HubRepo(id_, files, safetensors={"parameters": {"F32": 1_500_000}, "total": 1_500_000})


@dataclass
class Application:
    """One run of it. heard: every snapshot that the queue told."""

    paths: Paths
    hub: HubClient
    store: ModelStore
    queue: JobQueue
    installs: Installs
    heard: list[Job]
    changed: threading.Condition

    def request(self, name: str, *, converts: bool = True) -> InstallRequest:
        wanted = parse_name(name)
        return choose(self.hub.repository(wanted.repository_id), wanted, converts=converts)

    def install(self, name: str, *, converts: bool = True) -> int:
        return self.installs.install(self.request(name, converts=converts))

    def wait(self, job_id: int, state: JobState) -> Job:
        return self.wait_for(job_id, lambda job: job.state is state)

    def wait_for(self, job_id: int, is_it: Callable[[Job], bool]) -> Job:
        """The first snapshot of that kind that is told from now on, or the present one."""

        def seen() -> bool:
            return is_it(self.queue.job(job_id)) or any(is_it(job) for job in self.heard[start:] if job.id == job_id)

        with self.changed:
            start = len(self.heard)
            assert self.changed.wait_for(seen, SECONDS), self.heard[-3:]
            return self.queue.job(job_id)

    def done(self, job_id: int) -> Job:
        with self.changed:  # the present state alone: an earlier failure may be told after the retry
            assert self.changed.wait_for(lambda: self.queue.job(job_id).state.is_final, SECONDS), self.heard[-3:]
            job = self.queue.job(job_id)
        assert job.state is JobState.DONE, job.error
        self.queue.handle(job_id).finished.wait(SECONDS)
        return job

    def folders(self) -> list[Path]:
        root = self.paths.models / ".installs"
        return sorted(root.iterdir()) if root.is_dir() else []


@contextmanager
def application(home: Path, double: HubDouble, make_card: MakeCard | None = None) -> Iterator[Application]:
    """Its end is a quit: installs are left resumable."""
    paths = Paths.below(home)
    paths.ensure()
    queue, hub, store = JobQueue(), HubClient(double.endpoint, token=lambda: None), ModelStore(paths.models)
    heard: list[Job] = []
    changed = threading.Condition()

    def hear(job: Job) -> None:
        with changed:
            heard.append(job)
            changed.notify_all()

    installs = Installs(queue, Tools(hub, store, paths.logs, make_card))
    queue.subscribe(hear)
    try:
        yield Application(paths, hub, store, queue, installs, heard, changed)
    finally:
        installs.close()
        hub.close()


def all_files(home: Path) -> set[str]:
    return {path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()}
