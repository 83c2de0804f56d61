"""All installs of this machine: each has a folder in `<models>/.installs`, which outlives the application."""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from app.errors import AlreadyThere, InstallError
from app.jobs.install import Install, Tools
from app.jobs.install_record import FILE_NAME, InstallRecord, Step, read_record, write_record
from app.jobs.install_request import Aim, InstallRequest
from app.jobs.job import Job, JobState, Lane
from app.jobs.queue import JobQueue
from app.jobs.workshop import PURPOSE
from backends.disk_fault import told
from backends.ownership.directory import Directory, NotOurs
from backends.ownership.workshop import Workshop, Workshops

FOLDER_NAME = ".installs"
PAUSED = "paused"  # a file of this name says that it does not go on by itself
OURS = {FILE_NAME, f"{FILE_NAME}.part", PAUSED, "lock", "download", "made"}  # all that earlier versions had in one

_log = logging.getLogger(__name__)


class Installs:
    """Thread-safe. Adds installs to the queue, keeps their folders, and takes up what an earlier run has left."""

    def __init__(self, queue: JobQueue, tools: Tools):
        self._queue = queue
        self._tools = tools
        self._workshops = Workshops(tools.store.models_dir / FOLDER_NAME, PURPOSE, recognises=_is_of_an_earlier_version)
        self._lock = threading.Lock()  # two clicks on one file must find each other
        self._installs: dict[int, Install] = {}
        self._held: dict[Path, Workshop] = {}
        self._leave = queue.subscribe(self._hear)

    def install(self, request: InstallRequest) -> int:
        """The job's id. An unfinished install of the same files is taken up again.

        Raises AlreadyThere when the library has it or a job brings it, ModelFileError or InstallError.
        """
        with self._lock:
            unfinished = self._unfinished(request)
            if unfinished is not None:
                self.resume(unfinished)
                return unfinished
            self._require_new(request)
            self._require_nobody_else(request)
            notices: list[str] = []
            taken = self._take_up(lambda record: replace(record.request, commit=request.commit) == request, notices)
            for notice in notices:
                _log.warning(notice)
            if taken:
                workshop, record = taken[0]
                workshop.discard(PAUSED)
                return self._add(workshop, _renew(workshop.path, record, request.commit))
            return self._add(self._new_workshop(request), InstallRecord(request))

    def recover(self) -> list[str]:
        """Takes up what was left, once at the start: what a person had paused stays so, the rest goes on.

        Returns sentences for what had to be given up.
        """
        notices: list[str] = []
        with self._lock:
            for workshop, record in self._take_up(lambda _: True, notices):
                self._add(workshop, record)
        return notices

    def request(self, job_id: int) -> InstallRequest | None:
        """What the job installs; None for a job that is no install."""
        install = self._installs.get(job_id)
        return install.request if install else None

    def pause(self, job_id: int) -> None:
        self._mark_paused(job_id)
        self._queue.pause(job_id)

    def resume(self, job_id: int) -> None:
        """Of a paused job, or of one that failed."""
        install = self._installs.get(job_id)
        if install and (workshop := self._held.get(install.folder)):
            workshop.discard(PAUSED)
        self._queue.resume(job_id)
        self._queue.retry(job_id)

    retry = resume

    def cancel(self, job_id: int) -> None:
        """For good: its folder goes as soon as nothing works in it."""
        self._queue.cancel(job_id)

    def close(self) -> None:
        """Everything stops and stays resumable. The queue is closed by this as well."""
        for job_id in list(self._installs):
            self._queue.pause(job_id)
        self._queue.close()
        self._leave()
        for workshop in self._held.values():
            workshop.release()

    def _add(self, workshop: Workshop, record: InstallRecord) -> int:
        install = Install(record.request, workshop.path, self._tools)
        handle = self._queue.add(install, Lane.LIGHT, is_paused=True, reached=install.reached(record))
        self._installs[handle.id] = install
        if not workshop.directory.is_file(PAUSED):
            self._queue.resume(handle.id)
        return handle.id

    def _new_workshop(self, request: InstallRequest) -> Workshop:
        try:
            workshop = self._workshops.make()
        except NotOurs as fault:
            raise InstallError(str(fault)) from fault
        except OSError as fault:
            why = f"{self._workshops.root} cannot be written: {fault.strerror or fault}."
            raise InstallError(f"{why} Make room or look who may write there, then try again.") from fault
        self._held[workshop.path] = workshop
        try:
            write_record(workshop.path, InstallRecord(request))
        except InstallError:
            self._discard(workshop.path)
            raise
        return workshop

    def _unfinished(self, request: InstallRequest) -> int | None:
        """A job of ours that rests. Raises AlreadyThere for one that does not; one for files of old is called off."""
        for job_id, install in list(self._installs.items()):  # an end that is heard meanwhile takes its own away
            if _is_same(install.request, request):
                if self._queue.job(job_id).state not in (JobState.PAUSED, JobState.FAILED):
                    raise AlreadyThere(f"{request.title} is being installed already.", job_id=job_id)
                if install.request.all_files == request.all_files:
                    _renew(install.folder, read_record(install.folder), request.commit)
                    return job_id
                self._queue.cancel(job_id)  # the repository has other bytes by now, as its error may have said
        return None

    def _require_new(self, request: InstallRequest) -> None:
        there = self._in_library(request)
        if there:
            raise AlreadyThere(f"{request.title} is in the library already, as “{there}”.", model_id=there)

    def _require_nobody_else(self, request: InstallRequest) -> None:
        """Another process may have it in hand: a command beside the window, or the other way round."""
        for name in self._names():
            folder = self._workshops.root / name
            if folder in self._held:
                continue
            if (workshop := self._workshops.take(name)) is not None:
                workshop.release()
                continue
            try:
                record = read_record(folder)
            except InstallError:
                continue  # just being made or deleted
            if _is_same(record.request, request):
                raise AlreadyThere(
                    f"{request.title} is in the hands of another Slipstream, a window or a command: at work or paused. "
                    "Let it go on there."
                )

    def _in_library(self, request: InstallRequest) -> str | None:
        """The id of a sound model that is this very one: by its hash, or made of the same repository."""
        if request.aim is Aim.CHECKPOINT:
            return None
        path = self._tools.store.folder(request.publisher, request.repo) / request.target_name
        sha256 = request.files[0].sha256 if request.aim is Aim.GGUF else None
        for entry in self._tools.models():
            has_hash = sha256 is not None and entry.sha256 == sha256
            is_made = request.aim is Aim.MODEL and entry.path == path
            if (has_hash or is_made) and entry.problem is None:
                return entry.id
        return None

    def _take_up(
        self, is_wanted: Callable[[InstallRecord], bool], notices: list[str]
    ) -> list[tuple[Workshop, InstallRecord]]:
        """The wanted folders that nobody works in, locked for us. Finished and broken ones are cleared on the way."""
        taken = []
        for name in self._names(notices):
            is_held = self._workshops.root / name in self._held
            workshop = None if is_held else self._workshops.take(name)
            if workshop is None:
                continue
            self._held[workshop.path] = workshop
            record = self._read(workshop, notices)
            if record is None or Step.ADD in record.done:
                self._discard(workshop.path)
            elif is_wanted(record):
                taken.append((workshop, record))
            else:
                self._held.pop(workshop.path).release()
        return taken

    def _names(self, notices: list[str] | None = None) -> list[str]:
        """Of the folders that bear our mark; none where installs cannot be kept, and that is told."""
        try:
            return self._workshops.names()
        except OSError as fault:
            if notices is not None:
                why = fault if isinstance(fault, NotOurs) else told(fault, self._workshops.root)
                notices.append(f"Installs cannot be kept or taken up: {why}")
            return []

    def _read(self, workshop: Workshop, notices: list[str]) -> InstallRecord | None:
        if FILE_NAME not in workshop.directory.names():  # killed while it was made or deleted
            return None
        try:
            if not workshop.directory.is_file(FILE_NAME):
                raise InstallError(f"{workshop.path / FILE_NAME} is no file.")
            return read_record(workshop.path)
        except InstallError as error:
            notices.append(f"An unfinished install could not be taken up and was cleared away: {error}")
            return None

    def _mark_paused(self, job_id: int) -> None:
        install = self._installs.get(job_id)
        workshop = self._held.get(install.folder) if install else None
        if workshop:
            try:
                with suppress(FileExistsError):
                    workshop.directory.create(PAUSED)
            except OSError as fault:  # a full disk must not keep a person from pausing
                _log.warning("%s will go on by itself at the next start: %s", workshop.path, fault)

    def _hear(self, job: Job) -> None:
        install = self._installs.get(job.id)
        if install is None:
            return
        if job.state is JobState.FAILED:
            self._mark_paused(job.id)  # it would fail again by itself at every start
        elif job.state in (JobState.DONE, JobState.CANCELLED):
            del self._installs[job.id]
            self._discard(install.folder)

    def _discard(self, folder: Path) -> None:
        """The record goes first: killed in between, the rest is cleared at the next start."""
        if workshop := self._held.pop(folder, None):
            workshop.remove(first=FILE_NAME)


def _is_same(left: InstallRequest, right: InstallRequest) -> bool:
    """Two requests whose results would be one file."""
    return (left.repository_id, left.target_name) == (right.repository_id, right.target_name)


def _renew(folder: Path, record: InstallRecord, commit: str) -> InstallRecord:
    """The same files, by the commit that the Hub has today: the old one may be gone. Nothing is at work there."""
    if record.request.commit != commit:
        record = replace(record, request=replace(record.request, commit=commit))
        write_record(folder, record)
    return record


def _is_of_an_earlier_version(directory: Directory) -> bool:
    """They bore no mark: a whole record, and nothing beside it that is not ours."""
    if not OURS.issuperset(directory.names()) or not directory.is_file(FILE_NAME):
        return False
    try:
        read_record(directory.path)
    except InstallError:
        return False
    return True
