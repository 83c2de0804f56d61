"""A folder that is held: what is done in it is done in this very folder, whatever its path has become meanwhile.

No link is followed, neither at the folder's own name nor at a name in it. Knows no mark.
"""

import os
import stat
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

READ = os.O_RDONLY | getattr(os, "O_BINARY", 0)
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
NO_LINK = getattr(os, "O_NOFOLLOW", 0)
# a pipe must not make its reader wait
SAFE = NO_LINK | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
REPARSE_POINT = 0x400  # FILE_ATTRIBUTE_REPARSE_POINT: links, junctions and mounted volumes of Windows


class NotOurs(OSError):
    """It is a link, or bears no mark of ours: nothing in it is touched. Its text is a sentence."""


@contextmanager
def placed(path: Path) -> Iterator[None]:
    """A fault names the whole path: half of one, or none, tells nobody where to look."""
    try:
        yield
    except OSError as fault:
        if fault.errno is not None:  # else it is a sentence of ours
            fault.filename = str(path)
        raise


class Directory(ABC):
    """Raises OSError as the system does, and NotOurs for a link. `path` is for sentences alone."""

    path: Path

    @abstractmethod
    def names(self) -> list[str]: ...

    @abstractmethod
    def status(self, name: str) -> os.stat_result:
        """Of the name itself, be it a link."""

    @abstractmethod
    def open(self, name: str, flags: int, mode: int = 0o600) -> int:
        """A descriptor. A link is refused; a pipe is opened without waiting."""

    @abstractmethod
    def make(self, name: str) -> None:
        """A new folder, for its owner alone."""

    @abstractmethod
    def child(self, name: str) -> "Directory": ...

    @abstractmethod
    def unlink(self, name: str) -> None: ...

    @abstractmethod
    def rmdir(self, name: str) -> None: ...

    @abstractmethod
    def replace(self, old: str, new: str) -> None: ...

    @property
    @abstractmethod
    def place(self) -> tuple[int, ...]:
        """Differs between two folders when something is mounted between them."""

    @property
    @abstractmethod
    def identity(self) -> tuple[int, int]:
        """Device and inode."""

    @abstractmethod
    def close(self) -> None: ...

    def read(self, name: str, limit: int) -> bytes | None:
        """At most `limit` bytes of a regular file; None of anything else."""
        with suppress(OSError):
            handle = self.open(name, READ)
            with os.fdopen(handle, "rb") as file:
                if stat.S_ISREG(os.fstat(handle).st_mode):
                    return file.read(limit)
        return None

    def create(self, name: str, content: bytes = b"") -> None:
        """A new file for its owner alone, on the disk when this returns. Raises FileExistsError."""
        with placed(self.path / name), os.fdopen(self.open(name, NEW), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    def is_folder(self, name: str) -> bool:
        """A real one, no link to one."""
        try:
            return is_real_folder(self.status(name))
        except OSError:
            return False

    def is_file(self, name: str) -> bool:
        try:
            return stat.S_ISREG(self.status(name).st_mode)
        except OSError:
            return False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def open_directory(path: Path, *, follows: bool = False) -> Directory:
    """follows: a link at the last name is a person's own choice, as for the models' folder. Raises OSError."""
    from backends.ownership.by_handle import HandleDirectory
    from backends.ownership.by_path import PathDirectory

    kind = HandleDirectory if HAS_HANDLES else PathDirectory
    return kind.at(path, follows)


def is_real_folder(status: os.stat_result) -> bool:
    return stat.S_ISDIR(status.st_mode) and not is_link(status)


def is_link(status: os.stat_result) -> bool:
    return stat.S_ISLNK(status.st_mode) or bool(getattr(status, "st_file_attributes", 0) & REPARSE_POINT)


def why_not(path: Path, fault: OSError) -> OSError:
    """The fault, or NotOurs when there is something else than a folder."""
    try:
        status = os.lstat(path)
    except OSError:
        return fault
    if is_link(status):
        return NotOurs(f"{path} is a link, and Slipstream works in folders of its own alone.")
    if not stat.S_ISDIR(status.st_mode):
        return NotOurs(f"{path} is no folder.")
    return fault


HAS_HANDLES = sys.platform != "win32" and {os.open, os.unlink, os.rmdir, os.mkdir, os.stat} <= os.supports_dir_fd
