"""Small files of our own: replaced whole, one change at a time over all processes, and kept when they are odd."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from app.disk import sync_folder
from backends.disk_fault import reason as reason  # for all who name a reason
from backends.ownership.files import delete_file, write_whole
from backends.ownership.lock import lock_of, try_lock
from backends.ownership.private import FILE_MODE, make_private_folder
from backends.regular_file import OddFileError, check_regular

LOOK_SECONDS = 0.01
PATIENCE = 10.0  # seconds: others take as long as a small file and an fsync


@contextmanager
def changing_file(path: Path, patience: float = PATIENCE) -> Iterator[None]:
    """For a change: read, then write. Threads exclude each other as processes do. Raises OSError."""
    make_private_folder(path.parent)
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    handle = os.open(lock_of(path), flags | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        _wait(handle, path, patience)
        yield
    finally:
        os.close(handle)


def replace_file(path: Path, content: bytes, mode: int = FILE_MODE) -> None:
    """A reader, or a death, finds the old one or the new one; mode as for `write_whole`. Raises OSError."""
    make_private_folder(path.parent)
    write_whole(path, content, mode)
    sync_folder(path.parent)


def set_aside(path: Path) -> Path:
    """Rename what cannot be used to the first free `<name>.broken-<n>`; nothing is deleted. Raises OSError."""
    target = _free_name(path)
    os.rename(path, target)
    return target


def keep_copy(path: Path) -> Path:
    """As `set_aside`, but it stays where it is: for a small file that is about to be written over. Raises OSError."""
    target = _free_name(path)
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    try:
        with os.fdopen(handle, "wb") as copy, path.open("rb") as file:
            shutil.copyfileobj(file, copy)
            copy.flush()
            os.fsync(handle)
    except BaseException:
        delete_file(target)
        raise
    return target


def usable(path: Path) -> Path:
    """For libraries that open what we name: what is no file is set aside, or another name is taken."""
    try:
        check_regular(path)
    except OddFileError:
        try:
            set_aside(path)
        except OSError:
            return _free_name(path)
    except OSError:
        pass
    return path


def _wait(handle: int, path: Path, patience: float) -> None:
    deadline = time.monotonic() + patience
    while not _is_ours(handle):
        if time.monotonic() > deadline:
            raise TimeoutError(None, "another Slipstream is writing it and does not end", str(path))
        time.sleep(LOOK_SECONDS)


def _is_ours(handle: int) -> bool:
    try:
        return try_lock(handle)
    except OSError:  # some network drives know no locks: better one writer's change lost than none possible
        return True


def _free_name(path: Path) -> Path:
    for number in count(1):
        target = path.with_name(f"{path.name}.broken-{number}")
        if not os.path.lexists(target):
            break
    return target
