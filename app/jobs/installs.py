"""All installs of this machine: each has a folder in `<models>/.installs`, which outlives the application."""

import logging
import shutil
import threading
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from app.errors import AlreadyThere, InstallError
from app.jobs.folder_lock import FolderLock
from app.jobs.install import Install, Tools
from app.jobs.install_record import FILE_NAME, InstallRecord, Step, read_record, write_record
from app.jobs.install_request import Aim, InstallRequest
from app.jobs.job import Job, JobState, Lane
from app.jobs.queue import JobQueue

FOLDER_NAME = ".installs"
PAUSED = "paused"  # a file of this name says that it does not go on by itself

_log = logging.getLogger(__name__)


class Installs:
    """Thread-safe. Adds installs to the queue, keeps their folders, and takes up what an earlier run has left."""

    def __init__(self, queue: JobQueue, tools: Tools):
        self._queue = queue
        self._tools = tools
        self._root = tools.store.models_dir / FOLDER_NAME
        self._lock = threading.Lock()  # two clicks on one file must find each other
        self._installs: dict[int, Install] = {}
        self._locks: dict[Path, FolderLock] = {}
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
                folder, record = taken[0]
                (folder / PAUSED).unlink(missing_ok=True)
                return self._add(folder, _renew(folder, record, request.commit))
            return self._add(self._new_folder(request), InstallRecord(request))

    def recover(self) -> list[str]:
        """Takes up what was left, once at the start: what a person had paused stays so, the rest goes on.

        Returns sentences for what had to be given up.
        """
        notices: list[str] = []
        with self._lock:
            for folder, record in self._take_up(lambda _: True, notices):
                self._add(folder, record)
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
        if job_id in self._installs:
            (self._installs[job_id].folder / PAUSED).unlink(missing_ok=True)
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
        for lock in self._locks.values():
            lock.release()

    def _add(self, folder: Path, record: InstallRecord) -> int:
        """The folder is locked already."""
        install = Install(record.request, folder, self._tools)
        handle = self._queue.add(install, Lane.LIGHT, is_paused=True)
        self._installs[handle.id] = install
        if not (folder / PAUSED).exists():
            self._queue.resume(handle.id)
        return handle.id

    def _new_folder(self, request: InstallRequest) -> Path:
        folder = self._root / uuid.uuid4().hex[:12]
        try:
            folder.mkdir(parents=True)
            lock = FolderLock.take(folder)
        except OSError as fault:
            why = f"{folder} cannot be made: {fault.strerror or fault}."
            raise InstallError(f"{why} Make room or look who may write there, then try again.") from fault
        if lock is None:  # whoever starts at this very moment takes a folder without a record for a broken one
            raise InstallError(f"Another Slipstream is tidying up {self._root}. Try again.")
        self._locks[folder] = lock
        try:
            write_record(folder, InstallRecord(request))
        except InstallError:
            self._discard(folder)
            raise
        return folder

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
        for folder in self._folders():
            if folder in self._locks:
                continue
            if (lock := _lock_of(folder)) is not None:
                lock.release()
                continue
            try:
                record = read_record(folder)
            except InstallError:
                continue  # just being made or deleted, or no folder of ours
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
    ) -> list[tuple[Path, InstallRecord]]:
        """The wanted folders that nobody works in, locked for us. Finished and broken ones are cleared on the way."""
        taken = []
        for folder in self._folders():
            lock = None if folder in self._locks else _lock_of(folder)
            if lock is None:
                continue
            self._locks[folder] = lock
            record = self._read(folder, notices)
            if record is None or Step.ADD in record.done:
                self._discard(folder)
            elif is_wanted(record):
                taken.append((folder, record))
            else:
                self._locks.pop(folder).release()
        return taken

    def _folders(self) -> list[Path]:
        return sorted(self._root.iterdir()) if self._root.is_dir() else []

    def _read(self, folder: Path, notices: list[str]) -> InstallRecord | None:
        if not (folder / FILE_NAME).exists():  # killed while it was made or deleted
            return None
        try:
            return read_record(folder)
        except InstallError as error:
            notices.append(f"An unfinished install could not be taken up and was cleared away: {error}")
            return None

    def _mark_paused(self, job_id: int) -> None:
        install = self._installs.get(job_id)
        if install and install.folder.is_dir():
            try:
                (install.folder / PAUSED).touch()
            except OSError as fault:  # a full disk must not keep a person from pausing
                _log.warning("%s will go on by itself at the next start: %s", install.folder, fault)

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
        (folder / FILE_NAME).unlink(missing_ok=True)
        lock = self._locks.pop(folder, None)
        if lock:
            lock.release()  # an open file cannot be deleted on Windows
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            _log.warning("%s could not be deleted", folder)


def _is_same(left: InstallRequest, right: InstallRequest) -> bool:
    """Two requests whose results would be one file."""
    return (left.repository_id, left.target_name) == (right.repository_id, right.target_name)


def _renew(folder: Path, record: InstallRecord, commit: str) -> InstallRecord:
    """The same files, by the commit that the Hub has today: the old one may be gone. Nothing is at work there."""
    if record.request.commit != commit:
        record = replace(record, request=replace(record.request, commit=commit))
        write_record(folder, record)
    return record


def _lock_of(folder: Path) -> FolderLock | None:
    """None for what is no folder of ours, and for one in which another process works."""
    if folder.is_symlink() or not folder.is_dir():
        return None
    try:
        return FolderLock.take(folder)
    except OSError:  # it is just being deleted
        return None
