"""Reads small files that anybody may have put there: a pipe in their place holds nobody up. Knows no format."""

import errno
import os
import stat
from pathlib import Path

KINDS = (
    (stat.S_ISDIR, "it is a folder, not a file"),
    (stat.S_ISFIFO, "it is a pipe, not a file"),
    (stat.S_ISSOCK, "it is a socket, not a file"),
    (stat.S_ISCHR, "it is a device, not a file"),
    (stat.S_ISBLK, "it is a device, not a file"),
)
LOOP = "it is a link that leads to itself"
PIECE = 1 << 16
FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class OddFileError(OSError):
    """What lies there is no file, or larger than it may be. `strerror` says which, as the end of a sentence."""

    def __init__(self, path: str | Path, what: str):
        super().__init__(errno.EINVAL, what, str(path))


class TooLargeError(OddFileError):
    def __init__(self, path: str | Path, most_bytes: int):
        super().__init__(path, f"it is larger than {_size(most_bytes)}")


def read_regular(path: str | Path, most_bytes: int) -> bytes:
    """All of it. Raises OddFileError, or another OSError when it is missing or cannot be read."""
    check_regular(path)  # before it is opened: opening alone can wake a device
    handle = os.open(path, FLAGS)
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        _check(path, status.st_mode)  # it may have been replaced meanwhile
        # never asked for more than it says to hold: Python makes room for all that is asked for
        content = file.read(status.st_size + 1) if status.st_size <= most_bytes else None
        while content and status.st_size < len(content) <= most_bytes and (more := file.read(PIECE)):
            content += more  # it grows, or is one of those that say 0
    if content is None or len(content) > most_bytes:
        raise TooLargeError(path, most_bytes)
    return content


def check_regular(path: str | Path) -> None:
    """Raises OddFileError for what is no file, and another OSError for what is not there."""
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OddFileError(path, LOOP) from error
        raise
    _check(path, mode)


def _check(path: str | Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise OddFileError(path, next((words for is_kind, words in KINDS if is_kind(mode)), "it is no file"))


def _size(num_bytes: int) -> str:
    return f"{num_bytes >> 20} MiB" if num_bytes >= 1 << 20 else f"{num_bytes >> 10} KiB"
