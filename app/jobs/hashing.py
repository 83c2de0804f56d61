"""The sha256 of a file, read in pieces so that it can be called off."""

import hashlib
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

from app.errors import Cancelled, ModelFileError

CHUNK_BYTES = 4 << 20


def hash_file(path: Path, cancelled: threading.Event, on_bytes: Callable[[int], None] = lambda _: None) -> str:
    """on_bytes: is told how many were read so far. Raises Cancelled or ModelFileError."""
    digest, count = hashlib.sha256(), 0
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):  # reading it might never end
                raise ModelFileError(f"{path} is no file but a device, a pipe or the like. Remove it.")
            while chunk := file.read(CHUNK_BYTES):
                if cancelled.is_set():
                    raise Cancelled("Cancelled.")
                digest.update(chunk)
                count += len(chunk)
                on_bytes(count)
    except OSError as fault:
        raise ModelFileError(
            f"{path} cannot be read: {fault.strerror or fault}. Look at its disk, then try again."
        ) from fault
    return digest.hexdigest()


def _open_at_once(path: str, flags: int) -> int:
    """Opening a pipe that nobody writes to would wait for ever."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
