"""Which model a file holds, whatever it is called and wherever it lies, without reading all of it.

For cards and reference files: nobody gains by a false one. A saved state of an engine asks for more
(`backends.llama.fingerprint`), and a download's proof is the sha256 of every byte.
"""

import hashlib
from pathlib import Path
from typing import BinaryIO

from backends.formats import UnreadableError
from backends.formats.gguf import Header
from backends.formats.gguf_split import read_parts

SAMPLE_BYTES = 4096
SAMPLES_PER_TENSOR = 3  # begin, middle, end


def identity(path: Path) -> str:
    """A sha256 over the header and samples of every tensor, of all parts in turn. Raises FormatError."""
    total = hashlib.sha256()
    for header in read_parts(path):
        try:
            with header.path.open("rb") as file:
                total.update(f"{header.file_bytes} ".encode())
                _add(file, header, total)
        except OSError as fault:
            raise UnreadableError(f"{header.path} cannot be read: {fault.strerror or fault}.") from fault
    return total.hexdigest()


def _add(file: BinaryIO, header: Header, total: "hashlib._Hash") -> None:
    total.update(file.read(header.data_offset))
    for tensor in header.tensors:
        last = max(0, tensor.num_bytes - SAMPLE_BYTES)
        for i in range(SAMPLES_PER_TENSOR):
            file.seek(header.data_offset + tensor.offset + last * i // (SAMPLES_PER_TENSOR - 1))
            total.update(file.read(min(SAMPLE_BYTES, tensor.num_bytes)))
