"""Tells two model files apart without reading all of them: a saved state of one must not continue in the other."""

import hashlib
import threading
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from backends.formats import FormatError
from backends.llama.header import header_of

WHOLE_BYTES = 64 << 20  # a file up to this size is read whole
SAMPLE_BYTES = 4096
SAMPLES_PER_TENSOR = 3  # begin, middle, end
NUM_REMEMBERED = 64  # adapters have one, too

_Stamp = tuple[Path, int, int]  # a file, its size, and the time of its last change

_taking = threading.Lock()  # who asks while another thread reads the file waits for that


def fingerprint(path: Path) -> str:
    """A hash over size, header and samples of every tensor, and of a large file also the time of its last change.
    llama.cpp does not notice a state of another model of the same shape. Raises OSError and FormatError."""
    stamps = tuple(map(_stamp, (path, *other_parts(path))))
    with _taking:
        return _fingerprint(stamps)


def take_fingerprint(path: Path) -> None:
    """In a thread of its own, while the weights are read: who asks for it then finds it, or what is wrong."""

    def take() -> None:
        with suppress(OSError, FormatError):
            fingerprint(path)

    threading.Thread(target=take, name="fingerprint", daemon=True).start()


def _stamp(path: Path) -> _Stamp:
    status = path.stat()
    return path, status.st_size, status.st_mtime_ns


@lru_cache(NUM_REMEMBERED)
def _fingerprint(stamps: tuple[_Stamp, ...]) -> str:
    (path, num_bytes, mtime_ns), *parts = stamps
    total = hashlib.sha256(f"{num_bytes} ".encode())
    with path.open("rb") as file:
        if num_bytes <= WHOLE_BYTES:
            total.update(file.read())
        else:
            total.update(f"{mtime_ns} ".encode())
            header = header_of(path)
            total.update(file.read(header.data_offset))
            for tensor in header.tensors:
                _sample(file, header.data_offset + tensor.offset, tensor.num_bytes, total)
    for part, size, changed in parts:
        total.update(f"{part.name} {size} {changed} ".encode("utf-8", "surrogatepass"))
    return total.hexdigest()


def _sample(file: BinaryIO, begin: int, num_bytes: int, total: "hashlib._Hash") -> None:
    last = max(0, num_bytes - SAMPLE_BYTES)
    for i in range(SAMPLES_PER_TENSOR):
        file.seek(begin + last * i // (SAMPLES_PER_TENSOR - 1))
        total.update(file.read(min(SAMPLE_BYTES, num_bytes)))


def other_parts(path: Path) -> list[Path]:
    """The further files of a model in parts (`…-00001-of-00003.gguf`)."""
    _, separator, count = path.stem.rpartition("-of-")
    if not separator or not count.isdecimal():
        return []
    return sorted(part for part in path.parent.glob(f"*-of-{count}.gguf") if part != path)
