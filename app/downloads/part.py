"""What has come of a file: NAME.part, and NAME.part.json that says of which file and version. Knows no network."""

import errno
import json
import os
from io import FileIO
from pathlib import Path
from typing import Any

from app.disk import sync_folder
from app.downloads.source import Source
from app.whole_file import replace_file
from backends.ownership.files import delete_file
from backends.regular_file import read_regular

SUFFIX, SIDE_SUFFIX = ".part", ".part.json"
VERSION = 1
MAX_SIDE = 16 << 10
NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


class Part:
    """Two versions never meet in it: the side file, which is written first, names the version. Raises OSError."""

    def __init__(self, source: Source, target: Path):
        self.target = target
        self.path = target.with_name(target.name + SUFFIX)
        self.side = target.with_name(target.name + SIDE_SUFFIX)
        self._identity = {
            "version": VERSION,
            "bytes": source.bytes,
            "sha256": source.sha256,
            "git_sha1": source.git_sha1,
        }
        self._has_hash = source.sha256 is not None or source.git_sha1 is not None
        self.validator: str | None = None  # the ETag for If-Range
        self.size = self._usable(source.bytes)
        self._file: FileIO | None = None

    @property
    def file(self) -> FileIO:
        """Open from the first use on, unbuffered."""
        if self._file is None:
            self.target.parent.mkdir(parents=True, exist_ok=True)
            if self.path.is_symlink():  # Windows has no flag for it
                raise OSError(errno.ELOOP, f"{self.path.name} is a link to another place")
            mode = os.O_RDWR | os.O_CREAT | (0 if self.size else os.O_TRUNC)
            self._file = FileIO(os.open(self.path, mode | NO_LINK, 0o644), "r+b")
        return self._file

    @property
    def is_resumable(self) -> bool:
        """Without an ETag and a hash nobody could tell that the rest is of the same version."""
        return self.validator is not None or self._has_hash

    def begin(self, validator: str | None) -> None:
        """Empty, for the version that the server calls `validator`."""
        self.file.seek(0)
        self.file.truncate()
        self.size, self.validator = 0, validator
        replace_file(self.side, json.dumps({**self._identity, "validator": validator}).encode())

    def write(self, data: memoryview) -> None:
        written = 0
        while written < len(data):  # a raw write may take less than all
            written += self.file.write(data[written:]) or 0
        self.size += written

    def sync(self) -> None:
        """Once, at the end: syncing on the way makes the writer wait for the file's lock, at half the speed."""
        os.fsync(self.file.fileno())

    def finish(self) -> None:
        """Under its own name, for good."""
        self.close()  # Windows renames and deletes no open file
        os.replace(self.path, self.target)
        sync_folder(self.target.parent)
        delete_file(self.side)

    def discard(self) -> None:
        self.close()
        self.size, self.validator = 0, None
        for path in (self.path, self.side):
            delete_file(path)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None

    def _usable(self, whole: int) -> int:
        """How much of what lies there can be gone on with; 0 when it is another file or nobody knows."""
        try:
            size = self.path.lstat().st_size
            side = _read(self.side)
        except (OSError, ValueError, RecursionError):
            return 0
        validator = side.pop("validator", None)
        if side != self._identity or size > whole:
            return 0
        if not isinstance(validator, str):
            validator = None
        self.validator = validator
        return size if self.is_resumable else 0


def _read(side: Path) -> dict[str, Any]:
    content = json.loads(read_regular(side, MAX_SIDE))
    if not isinstance(content, dict):
        raise ValueError("no side file")
    return content
