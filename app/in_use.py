"""Whether another living process has a file open: each holds a lock beside it for so long. Knows no file's format."""

import os
from pathlib import Path

from backends.ownership.lock import share_lock, try_lock_alone, use_of

FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


class Use:
    """Begun only under `changing_file` of the same path, so that nobody comes between the two looks."""

    def __init__(self, path: Path):
        """Raises OSError when there can be no lock beside it."""
        self._handle: int | None = os.open(use_of(path), FLAGS | getattr(os, "O_CLOEXEC", 0), 0o600)
        try:
            self.is_alone = try_lock_alone(self._handle)
            share_lock(self._handle)
        except OSError:  # a drive that knows no locks: better a rare clash than chats that nobody may mend
            self.is_alone = True

    def end(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
