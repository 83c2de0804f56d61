"""Workshops: folders in which jobs work, each with our mark and a lock, in a place that may hold others' things too."""

import logging
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from backends.ownership.directory import Directory, NotOurs, open_directory
from backends.ownership.lock import FILE_NAME as LOCK
from backends.ownership.lock import FolderLock
from backends.ownership.mark import NAME as MARK
from backends.ownership.mark import is_marked, is_unwritten, write_mark
from backends.ownership.private import make_private_folder
from backends.ownership.removal import empty, remove

NUM_TRIES = 3  # another process that tidies up may take a folder that is just being made
ID = re.compile(r"[0-9a-f]{12}")

_log = logging.getLogger(__name__)


class Workshop:
    """One of them, held and locked. Nobody else removes it before `release`."""

    def __init__(self, directory: Directory, lock: FolderLock, place: "Workshops"):
        self.directory = directory
        self._lock = lock
        self._place = place

    @property
    def path(self) -> Path:
        return self.directory.path

    def discard(self, name: str) -> None:
        """A file or a whole folder in it. What cannot be deleted stays."""
        for fault in remove(self.directory, name):
            _log.warning("left in %s: %s", self.path, fault)

    def release(self) -> None:
        """It stays, for another time."""
        self._lock.release()
        self.directory.close()

    def remove(self, first: str | None = None) -> bool:
        """With all that is in it; False when something had to stay.

        `first` goes before the rest. The mark goes last, then the folder: one that was killed over it is known again.
        """
        if first:
            self.discard(first)
        left = empty(self.directory, keep={MARK, LOCK})
        self._lock.release()  # an open file cannot be deleted on Windows
        left += [] if left else _remove_bare(self.directory, self._place)
        self.directory.close()
        for fault in left:
            _log.warning("%s could not be deleted: %s", self.path, fault)
        return not left


class Workshops:
    """All of one purpose in one folder. `follows`: that folder is the person's, who may have put a link there.

    recognises: whether an unmarked folder is one that an earlier version made; it is marked then.
    """

    def __init__(
        self,
        root: Path,
        purpose: str,
        *,
        prefix: str = "",
        follows: bool = False,
        recognises: Callable[[Directory], bool] = lambda _directory: False,
    ):
        self.root = root
        self.purpose = purpose
        self._prefix = prefix
        self._follows = follows
        self._recognises = recognises

    def make(self) -> Workshop:
        """Raises OSError when there can be none, NotOurs when its place is a link."""
        for _ in range(NUM_TRIES):
            if not self._follows or not self.root.exists():
                make_private_folder(self.root)
            with suppress(FileNotFoundError), self.open_root() as root:
                if workshop := self._make(root):
                    return workshop
        raise NotOurs(f"Another Slipstream is tidying up {self.root}. Try again.")

    def names(self) -> list[str]:
        """Those that bear our mark. What was killed before it got one, or after it lost it, is cleared on the way.

        Raises NotOurs when their place is a link, and OSError when it cannot be read.
        """
        try:
            with self.open_root() as root:
                return [name for name in root.names() if name.startswith(self._prefix) and self._is_ours(root, name)]
        except FileNotFoundError:
            return []

    def take(self, name: str) -> Workshop | None:
        """Held and locked. None when another has it, and when it is gone or not ours."""
        try:
            with self.open_root() as root:
                directory = root.child(name)
        except OSError:
            return None
        try:
            lock = FolderLock.take(directory) if is_marked(directory, self.purpose) else None
        except OSError:  # it is just being deleted
            lock = None
        if lock is None:
            directory.close()
            return None
        return Workshop(directory, lock, self)

    def clear(self) -> None:
        """Removes those that nobody works in. Raises as `names`."""
        for name in self.names():
            if workshop := self.take(name):
                workshop.remove()

    def remove_place(self) -> None:
        """The folder they lie in, when nothing is left in it."""
        with suppress(OSError), open_directory(self.root.parent, follows=True) as above:
            if above.is_folder(self.root.name):
                above.rmdir(self.root.name)

    def open_root(self) -> Directory:
        return open_directory(self.root, follows=self._follows)

    def _make(self, root: Directory) -> Workshop | None:
        name = f"{self._prefix}{secrets.token_hex(6)}"
        root.make(name)
        directory = root.child(name)
        try:
            write_mark(directory, self.purpose)
            lock = FolderLock.take(directory)
        except BaseException:
            directory.close()
            _forget(root, name)
            raise
        if lock is None:
            directory.close()
            return None
        return Workshop(directory, lock, self)

    def _is_ours(self, root: Directory, name: str) -> bool:
        """Whether it bears our mark; it gets one when it is of an earlier version."""
        try:
            with root.child(name) as directory:
                if is_marked(directory, self.purpose):
                    return True
                if self._is_bare(directory):
                    self._clear_bare(root, directory)
                elif self._recognises(directory):
                    write_mark(directory, self.purpose)
                    return True
                else:
                    _log.info("%s bears no mark of Slipstream and is left alone", directory.path)
        except OSError as fault:
            _log.info("%s is left alone: %s", root.path / name, fault)
        return False

    def _clear_bare(self, root: Directory, directory: Directory) -> None:
        if not directory.names():
            root.rmdir(directory.path.name)
        elif lock := FolderLock.take(directory):  # whoever is just making it has no lock yet, and makes another
            is_bare = self._is_bare(directory)
            lock.release()
            if is_bare:
                _remove_bare(directory, self)

    def _is_bare(self, directory: Directory) -> bool:
        """A name as ours are, and nothing in it: it was killed between its folder and its mark, or the other way."""
        if not ID.fullmatch(directory.path.name.removeprefix(self._prefix)):
            return False
        names = set(directory.names())
        return (
            names <= {MARK, LOCK}
            and (MARK not in names or is_unwritten(directory))
            and (LOCK not in names or directory.read(LOCK, 1) == b"")
        )


def _remove_bare(directory: Directory, place: Workshops) -> list[OSError]:
    """Lock, mark, folder. The folder only while its name still leads to it."""
    left = remove(directory, LOCK) + remove(directory, MARK)
    if left:
        return left
    try:
        with place.open_root() as root:
            status = root.status(directory.path.name)
            if (status.st_dev, status.st_ino) != directory.identity:
                return [NotOurs(f"{directory.path} is another folder than it was")]
            root.rmdir(directory.path.name)
    except FileNotFoundError:
        return []
    except OSError as fault:
        return [fault]
    return []


def _forget(root: Directory, name: str) -> None:
    """One that could not be finished: the disk is full."""
    with suppress(OSError):
        with root.child(name) as directory:
            empty(directory)
        root.rmdir(name)
