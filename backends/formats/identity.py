"""Which model a file holds, whatever it is called and wherever it lies, without reading all of it.

For cards and reference files: nobody gains by a false one. A saved state of an engine asks for more
(`backends.llama.fingerprint`), and a download's proof is the sha256 of every byte.
"""

import hashlib
from pathlib import Path
from typing import BinaryIO

from backends.formats import FormatError
from backends.formats.gguf import Header, read_header

SAMPLE_BYTES = 4096
SAMPLES_PER_TENSOR = 3  # begin, middle, end


def identity(path: Path) -> str:
    """A sha256 over the header and samples of every tensor, of all parts in turn. Raises FormatError."""
    total = hashlib.sha256()
    for part in parts_of(path):
        header = read_header(part)
        try:
            with part.open("rb") as file:
                total.update(f"{header.file_bytes} ".encode())
                _add(file, header, total)
        except OSError as fault:
            raise FormatError(f"{part} cannot be read: {fault.strerror or fault}.") from fault
    return total.hexdigest()


def parts_of(path: Path) -> list[Path]:
    """The files of a model in parts (`…-00001-of-00003.gguf`), of which `path` is one; else itself alone."""
    stem, separator, count = path.stem.rpartition("-of-")
    name, dash, number = stem.rpartition("-")
    if not (separator and dash and count.isdecimal() and number.isdecimal()):
        return [path]
    siblings = (
        path.with_name(f"{name}-{i:0{len(number)}}-of-{count}.gguf") for i in range(1, min(int(count), 999) + 1)
    )
    return [part for part in siblings if part.is_file()] or [path]


def _add(file: BinaryIO, header: Header, total: "hashlib._Hash") -> None:
    total.update(file.read(header.data_offset))
    for tensor in header.tensors:
        last = max(0, tensor.num_bytes - SAMPLE_BYTES)
        for i in range(SAMPLES_PER_TENSOR):
            file.seek(header.data_offset + tensor.offset + last * i // (SAMPLES_PER_TENSOR - 1))
            total.update(file.read(min(SAMPLE_BYTES, tensor.num_bytes)))
