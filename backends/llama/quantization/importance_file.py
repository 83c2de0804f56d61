"""Writes llama.cpp's imatrix GGUF (tools/imatrix/imatrix.cpp, `save_imatrix`), byte for byte as it would."""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from backends.formats.gguf import MAGIC
from backends.llama.quantization.collector import Entry
from backends.llama.quantization.importance_reader import COUNTS, KEY_CHUNK_SIZE, KEY_CHUNKS, KEY_DATASETS, SUMS

VERSION = 3
ALIGNMENT = 32
U32, STRING, ARRAY, F32 = 4, 8, 9, 0  # numbers of gguf.h and ggml.h

Floats = npt.NDArray[np.float32]


def write_matrix(path: Path, entries: Mapping[str, Entry], dataset: str, num_chunks: int, chunk_size: int) -> None:
    """Counts of 0 stay: whoever reads the file knows what to make of an expert that no text reached."""
    tensors: dict[str, Floats] = {}
    for name, entry in sorted(entries.items()):
        num_counts = len(entry.counts)
        tensors[name + SUMS] = entry.sums.astype(np.float32).reshape(num_counts, -1)
        tensors[name + COUNTS] = entry.counts.astype(np.float32).reshape(num_counts, 1)
    with path.open("wb") as file:
        file.write(MAGIC + struct.pack("<IQQ", VERSION, len(tensors), 4))
        file.write(_text("general.type") + struct.pack("<I", STRING) + _text("imatrix"))
        file.write(_text(KEY_DATASETS) + struct.pack("<IIQ", ARRAY, STRING, 1) + _text(dataset))
        file.write(_text(KEY_CHUNKS) + struct.pack("<II", U32, num_chunks))
        file.write(_text(KEY_CHUNK_SIZE) + struct.pack("<II", U32, chunk_size))
        offset = 0
        for name, values in tensors.items():
            shape = values.shape[::-1] if len(values) > 1 else values.shape[1:]  # innermost first, without a last 1
            file.write(_text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, F32, offset))
            offset += values.nbytes + -values.nbytes % ALIGNMENT
        _pad(file)
        for values in tensors.values():
            file.write(values.tobytes())
            _pad(file)


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _pad(file: BinaryIO) -> None:
    file.write(bytes(-file.tell() % ALIGNMENT))
