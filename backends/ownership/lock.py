"""A lock on a folder that other processes respect. The system releases it when its holder dies, however it dies."""

import os
import sys

from backends.ownership.directory import Directory

FILE_NAME = "lock"

if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


class FolderLock:
    """Not reentrant: a second lock of one folder fails in the same process too."""

    def __init__(self, handle: int):
        self._handle: int | None = handle

    @classmethod
    def take(cls, directory: Directory) -> "FolderLock | None":
        """None when somebody has it. Raises OSError when the file cannot be opened."""
        handle = directory.open(FILE_NAME, os.O_RDWR | os.O_CREAT)
        try:
            _lock(handle)
        except OSError:
            os.close(handle)
            return None
        return cls(handle)

    def release(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
