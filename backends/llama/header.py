"""The header of a model's file, read once for all who ask for it during a load."""

import threading
from functools import lru_cache
from pathlib import Path

from backends.formats.gguf import Header, read_header

NUM_REMEMBERED = 8

_reading = threading.Lock()  # who asks while another thread reads waits for that: both would take twice as long


def header_of(path: Path) -> Header:
    """Without long arrays. Raises FormatError."""
    try:
        status = path.stat()
    except OSError:
        return read_header(path)  # which says it in a sentence
    with _reading:
        return _read(path, status.st_size, status.st_mtime_ns)


@lru_cache(NUM_REMEMBERED)
def _read(path: Path, _num_bytes: int, _mtime_ns: int) -> Header:
    return read_header(path)
