"""Tells two model files apart without reading all of them: a saved state of one must not continue in the other."""

import hashlib
from pathlib import Path
from typing import BinaryIO

from backends.formats.gguf import read_header

WHOLE_BYTES = 64 << 20  # a file up to this size is read whole
SAMPLE_BYTES = 4096
SAMPLES_PER_TENSOR = 3  # begin, middle, end


def fingerprint(path: Path) -> str:
    """A hash over size, header and samples of every tensor, and of a large file also the time of its last change.
    llama.cpp does not notice a state of another model of the same shape. Raises OSError and FormatError."""
    status = path.stat()
    total = hashlib.sha256(f"{status.st_size} ".encode())
    with path.open("rb") as file:
        if status.st_size <= WHOLE_BYTES:
            total.update(file.read())
        else:
            total.update(f"{status.st_mtime_ns} ".encode())
            header = read_header(path)
            total.update(file.read(header.data_offset))
            for tensor in header.tensors:
                _sample(file, header.data_offset + tensor.offset, tensor.num_bytes, total)
    for part in other_parts(path):
        total.update(f"{part.name} {part.stat().st_size} {part.stat().st_mtime_ns} ".encode("utf-8", "surrogatepass"))
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
