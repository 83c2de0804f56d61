"""Locks on a folder or a file that other processes respect. The system releases one when its holder dies."""

import os
import sys
from pathlib import Path

from backends.ownership.directory import Directory

FILE_NAME = "lock"

if sys.platform == "win32":
    import msvcrt

    def try_lock(handle: int) -> bool:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def try_lock(handle: int) -> bool:
        """The system lets go of it when the handle is closed, or its holder dies. Raises OSError without locks."""
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def lock_of(path: Path) -> Path:
    """Of a file: it lies beside it, for the file itself is another one after every change."""
    return path.with_name(f".{path.name}.lock")


class FolderLock:
    """Not reentrant: a second lock of one folder fails in the same process too."""

    def __init__(self, handle: int):
        self._handle: int | None = handle

    @classmethod
    def take(cls, directory: Directory) -> "FolderLock | None":
        """None when somebody has it. Raises OSError when the file cannot be opened."""
        handle = directory.open(FILE_NAME, os.O_RDWR | os.O_CREAT)
        try:
            is_ours = try_lock(handle)
        except OSError:  # a drive that knows no locks: what nobody can lock, nobody may clear away
            is_ours = False
        if not is_ours:
            os.close(handle)
            return None
        return cls(handle)

    def release(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
