"""Locks on a folder or a file that other processes respect. The system releases one when its holder dies."""

import os
import sys
from pathlib import Path

from backends.ownership.directory import Directory

FILE_NAME = "lock"
MOST_SHARES = 64  # holders at once, where each takes a byte

if sys.platform == "win32":
    import msvcrt

    def try_lock(handle: int) -> bool:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def try_lock_alone(handle: int) -> bool:
        """Every byte that `share_lock` may take."""
        try:
            os.lseek(handle, 0, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_NBLCK, MOST_SHARES)
            os.lseek(handle, 0, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_UNLCK, MOST_SHARES)
        except OSError:
            return False
        return True

    def share_lock(handle: int) -> None:
        """Locks are never shared there, so each holder takes a byte of its own."""
        for place in range(MOST_SHARES):
            os.lseek(handle, place, os.SEEK_SET)
            if try_lock(handle):
                return
else:
    import fcntl

    def try_lock(handle: int) -> bool:
        """The system lets go of it when the handle is closed, or its holder dies. Raises OSError without locks."""
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def try_lock_alone(handle: int) -> bool:
        """Whether nobody else shares it. Raises OSError without locks."""
        return try_lock(handle)

    def share_lock(handle: int) -> None:
        """With others who share it, until the handle is closed. Raises OSError without locks, or for one held alone."""
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)


def lock_of(path: Path) -> Path:
    """Of a file: it lies beside it, for the file itself is another one after every change."""
    return path.with_name(f".{path.name}.lock")


def use_of(path: Path) -> Path:
    """Of a file that stays open: shared by all who have it open, where `lock_of` is for a moment."""
    return path.with_name(f".{path.name}.in-use")


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
