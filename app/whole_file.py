"""Small files of our own: replaced whole, one change at a time over all processes, and kept when they are odd."""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from app.disk import sync_folder
from backends.regular_file import OddFileError, check_regular

LOOK_SECONDS = 0.01
PATIENCE = 10.0  # seconds: others take as long as a small file and an fsync

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


@contextmanager
def changing_file(path: Path, patience: float = PATIENCE) -> Iterator[None]:
    """For a change: read, then write. Threads exclude each other as processes do. Raises OSError.

    The lock is a file beside it: the file itself is another one after every change.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    handle = os.open(path.with_name(f".{path.name}.lock"), flags | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        _wait(handle, path, patience)
        yield
    finally:
        os.close(handle)


def replace_file(path: Path, content: bytes, part: Path | None = None) -> None:
    """A reader, or a death, finds the old one or the new one. Readable for its owner alone. Raises OSError.

    part: where it grows, for callers that let one writer in at a time; a left one is written over.
    """
    handle, name = _open_part(part) if part else _new_part(path)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
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
        with suppress(OSError):
            os.unlink(target)
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


def reason(error: OSError) -> str:
    """Why, as the end of a sentence."""
    words = error.strerror or str(error)
    return words[:1].lower() + words[1:]


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


def _new_part(path: Path) -> tuple[int, str]:
    path.parent.mkdir(parents=True, exist_ok=True)
    return tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")


def _open_part(part: Path) -> tuple[int, str]:
    """Not through a link, and not into a pipe that nobody reads."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    flags |= getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    return os.open(part, flags, 0o600), str(part)


def _free_name(path: Path) -> Path:
    for number in count(1):
        target = path.with_name(f"{path.name}.broken-{number}")
        if not os.path.lexists(target):
            break
    return target
