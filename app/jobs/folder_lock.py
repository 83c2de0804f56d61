"""A lock on a folder that other processes respect. The system releases it when its holder dies, however it dies."""

import os
from pathlib import Path

from app.whole_file import try_lock

FILE_NAME = "lock"


class FolderLock:
    """Not reentrant: a second lock of one folder fails in the same process too."""

    def __init__(self, handle: int):
        self._handle: int | None = handle

    @classmethod
    def take(cls, folder: Path) -> "FolderLock | None":
        """None when somebody has it. Raises OSError when the file cannot be opened."""
        handle = os.open(folder / FILE_NAME, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
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
