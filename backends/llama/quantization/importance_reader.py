"""Reads importance matrices from their files, with bounds and doubts.

Format: llama.cpp's imatrix GGUF (tools/imatrix/imatrix.cpp): for each tensor "NAME.in_sum2" with the sums of squares
of its inputs, a row per expert, and "NAME.counts" with how many went in. The older .dat files are read as well.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from backends.formats import FormatError
from backends.formats.gguf import MAGIC, Header, TensorInfo, read_header
from backends.formats.gguf_cursor import Cursor
from backends.llama.quantization.importance import Importance
from backends.regular_file import check_regular

Floats = npt.NDArray[np.float32]

MAX_BYTES = 2 << 30
MAX_ENTRIES = 65_536
SUMS, COUNTS = ".in_sum2", ".counts"
KEY_DATASETS, KEY_CHUNKS, KEY_CHUNK_SIZE = "imatrix.datasets", "imatrix.chunk_count", "imatrix.chunk_size"


def read_importance(path: Path) -> Importance:
    """Raises FormatError with a sentence."""
    try:
        check_regular(path)  # a pipe would be waited for
        with path.open("rb") as file:
            start, size = file.read(len(MAGIC)), path.stat().st_size
            if size > MAX_BYTES:
                raise FormatError(f"{path.name} is too large to be an importance matrix.")
            if start != MAGIC:
                file.seek(0)
                return _read_legacy(Cursor(file, path.name, size), path)
        return _read_gguf(path)
    except FileNotFoundError:
        raise FormatError(f"There is no file {path}.") from None
    except OSError as fault:
        raise FormatError(f"{path} cannot be read: {fault.strerror or fault}.") from fault


def _read_gguf(path: Path) -> Importance:
    header = read_header(path, keep_arrays=True)
    datasets, chunks = header.metadata.get(KEY_DATASETS), header.metadata.get(KEY_CHUNKS)
    if not isinstance(datasets, list) or type(chunks) is not int or KEY_CHUNK_SIZE not in header.metadata:
        raise FormatError(f"{path.name} is no importance matrix: it does not say what it was computed from.")
    tensors = {tensor.name: tensor for tensor in header.tensors}
    names = sorted(name.removesuffix(SUMS) for name in tensors if name.endswith(SUMS))
    if not names:
        raise FormatError(f"{path.name} is no importance matrix: it holds no sums.")
    values = {}
    for name in names:
        sums, counts = tensors[name + SUMS], tensors.get(name + COUNTS)
        if counts is None or (sums.type, counts.type) != ("F32", "F32") or sums.num_elements % counts.num_elements:
            raise FormatError(f"{path.name} is damaged: the sums and counts of {name!r} do not go together.")
        values[name] = _mean(_load(header, sums), _load(header, counts), path, name)
    return Importance(path.name, values, str(datasets[0]) if datasets else None, chunks)


def _load(header: Header, tensor: TensorInfo) -> Floats:
    return np.fromfile(header.path, "<f4", tensor.num_elements, offset=header.data_offset + tensor.offset)


def _mean(sums: Floats, counts: Floats, path: Path, name: str) -> Floats:
    """In float32 as llama-quantize divides, else the weights would not be the same. Experts without data weigh 1."""
    _check(counts, path, name)
    _check(sums, path, name)
    rows, divisors = sums.reshape(len(counts), -1), np.rint(counts)[:, None]
    known = divisors > 0
    return np.where(known, rows / np.where(known, divisors, 1), 1).astype(np.float32).reshape(-1)


def _check(values: Floats, path: Path, name: str) -> None:
    if not np.isfinite(values).all() or (values < 0).any():
        raise FormatError(f"{path.name} is damaged: the sums of {name!r} hold numbers that no sum of squares can be.")


def _read_legacy(cursor: Cursor, path: Path) -> Importance:
    """The format of before 2025 (common/imatrix-loader.cpp): name, calls and sums of each; then the text's name."""
    num_entries = cursor.u32() if cursor.size >= 8 else 0
    if not 0 < num_entries <= MAX_ENTRIES:
        raise FormatError(f"{path.name} is no importance matrix.")
    values: dict[str, Floats] = {}
    for _ in range(num_entries):
        name = _short_text(cursor)
        calls, count = cursor.u32(), cursor.u32()
        if not 0 < count <= cursor.remaining // 4:
            raise FormatError(f"{path.name} is no importance matrix, or cut short.")
        sums = np.frombuffer(cursor.take(4 * count), "<f4")
        _check(sums, path, name)
        values[name] = (sums / np.float32(calls)).astype(np.float32) if 0 < calls < 1 << 31 else sums
    chunks = cursor.u32() if cursor.remaining >= 4 else 0
    dataset = _short_text(cursor) if cursor.remaining >= 4 else None
    return Importance(path.name, values, dataset or None, chunks)


def _short_text(cursor: Cursor) -> str:
    length = cursor.u32()
    if length > 4096:
        raise FormatError(f"{cursor.name} is no importance matrix.")
    return cursor.take(length).decode("utf-8", "replace")
