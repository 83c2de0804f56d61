"""Files and folders for their owner's eyes alone, whatever the umask: chats, prompts, settings, cards, exports.

Models are not among them: they are large, public, and read by other programs, so the umask decides about theirs.
"""

import os
import stat
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path

from backends.ownership.directory import is_real_folder

FOLDER_MODE, FILE_MODE = 0o700, 0o600
PUBLIC = 0o644  # of files that others may read as far as the umask lets them, and never write
ABOVE_MODE = 0o755  # of folders that had to be made above it


def make_private_folder(path: Path) -> None:
    """What is there already keeps its mode. Raises OSError."""
    make_folder(path.parent)
    try:
        os.mkdir(path, FOLDER_MODE)
        os.chmod(path, FOLDER_MODE)  # the umask may have taken some of the owner's own rights
    except FileExistsError:
        if not path.is_dir():
            raise


def make_folder(path: Path) -> None:
    """With those above; never writable for others, even without a umask. Raises OSError."""
    missing = []
    while not path.exists():
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        folder.mkdir(ABOVE_MODE, exist_ok=True)


def close_to_writers(path: Path) -> None:
    """A regular file of this person's is writable for nobody else. A link, and what it leads to, stays as it is."""
    with suppress(OSError):
        status = os.lstat(path)
        if sys.platform != "win32" and stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid():
            os.chmod(path, stat.S_IMODE(status.st_mode) & ~0o022)


def make_private_file(path: Path) -> None:
    """An empty one when there is none; one that earlier versions made is tightened. Raises OSError."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE))
    tighten_file(path)


def with_companions(database: Path) -> tuple[Path, ...]:
    """A database of SQLite, its journal and its shared memory. New ones get the mode of the database."""
    return (database, *(database.with_name(database.name + end) for end in ("-wal", "-shm", "-journal")))


def tighten_file(path: Path) -> None:
    """A regular file of this person's; a link, and what it leads to, stays as it is."""
    with suppress(OSError):
        status = os.lstat(path)
        if stat.S_ISREG(status.st_mode) and _is_too_open(status):
            os.chmod(path, FILE_MODE)


def tighten_folder(path: Path, known: Iterable[str], is_ours: Callable[[Path], bool]) -> None:
    """A real folder of this person's that is ours, and in which all names are `known` (patterns).

    Else somebody else made it, or it is shared on purpose.
    """
    with suppress(OSError):
        status = os.lstat(path)
        patterns = tuple(known)
        if is_real_folder(status) and _is_too_open(status):
            names = os.listdir(path)
            is_known = all(any(fnmatchcase(name, pattern) for pattern in patterns) for name in names)
            if is_known and is_ours(path):
                os.chmod(path, FOLDER_MODE)


def _is_too_open(status: os.stat_result) -> bool:
    if sys.platform == "win32":  # where access is not told by these bits
        return False
    return bool(status.st_mode & 0o077) and status.st_uid == os.geteuid()
