"""A reference's predictions on disk: written once, read for every candidate, never trusted.

MAGIC, length of the header, header (JSON: what was measured), blocks (number of rows, number of entries, the arrays of
`Rows`), a block without rows, and the sha256 of all before it. All numbers are little endian.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np

from backends.formats.kept_references import MAGIC
from backends.quality.reference import LEAST_LOG_P, Rows
from backends.quality.sampling import Sampling

MAX_HEADER = 1 << 16
MAX_ROWS = 1 << 16  # of one block
DIGEST_BYTES = 32
ROUNDING = 1e-3

Key = Mapping[str, Any]


class DamagedReference(Exception):
    """The file is not what it should be; its reference must be read anew."""


class ReferenceWriter:
    """Call `finish` at the end: a file without it is refused."""

    def __init__(self, path: Path, key: Key):
        header = json.dumps(key, sort_keys=True).encode()
        self._digest = hashlib.sha256()
        self._file = path.open("wb")
        self._put(MAGIC + len(header).to_bytes(4, "little") + header)

    def add(self, rows: Rows) -> None:
        self._put(np.array([len(rows), len(rows.ids)], "<u4").tobytes())
        for array in (rows.tops, rows.targets, rows.counts, rows.ids, rows.log_p):
            self._put(np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).data)

    def finish(self) -> None:
        self._put(bytes(8))
        self._file.write(self._digest.digest())
        self._file.flush()

    def _put(self, data: bytes | memoryview) -> None:
        self._digest.update(data)
        self._file.write(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()


def read_reference(path: Path, key: Key, sampling: Sampling) -> Iterator[Rows]:
    """Block by block. Raises DamagedReference for a file that is cut, altered, or of something else than `key`.

    A block is given before the end of the file is known: `check_reference` reads all of it first.
    """
    try:
        with path.open("rb") as file:
            digest = _Digesting(file)
            _check_header(digest, key)
            while (rows := _read_block(digest, sampling)) is not None:
                yield rows
            found = digest.hash.digest()
            if file.read(DIGEST_BYTES + 1) != found:
                raise DamagedReference(f"{path.name} is damaged: its checksum is wrong")
    except OSError as fault:
        raise DamagedReference(f"{path.name} cannot be read: {fault}") from fault


def check_reference(path: Path, key: Key, sampling: Sampling, num_rows: int) -> None:
    """Reads all of it. Raises DamagedReference."""
    found = sum(len(rows) for rows in read_reference(path, key, sampling))
    if found != num_rows:
        raise DamagedReference(f"{path.name} has {found} positions instead of {num_rows}")


class _Digesting:
    def __init__(self, file: BinaryIO):
        self._file = file
        self._size = os.fstat(file.fileno()).st_size
        self.hash = hashlib.sha256()

    def read(self, size: int) -> bytes:
        # not even tried when a damaged number claims more than there is, which may be more than the memory
        data = self._file.read(size) if size <= self._size - self._file.tell() else b""
        if len(data) != size:
            raise DamagedReference("the file ends too early")
        self.hash.update(data)
        return data

    def array(self, kind: str, length: int) -> Any:
        return np.frombuffer(self.read(4 * length), kind)


def _check_header(file: _Digesting, key: Key) -> None:
    if file.read(len(MAGIC)) != MAGIC:
        raise DamagedReference("it is no reference file")
    length = int.from_bytes(file.read(4), "little")
    if length > MAX_HEADER or file.read(length) != json.dumps(key, sort_keys=True).encode():
        raise DamagedReference("it is of another model, text or setting")


def _read_block(file: _Digesting, sampling: Sampling) -> Rows | None:
    num_rows, num_ids = (int(number) for number in file.array("<u4", 2))
    if num_rows == 0:
        return None
    size = sampling.num_tokens
    num_entries = num_rows * size if sampling.is_full else num_ids
    if num_rows > MAX_ROWS or num_ids != (0 if sampling.is_full else min(num_ids, num_rows * size)):
        raise DamagedReference("a block is too large")
    tops, targets, counts = (file.array(kind, num_rows) for kind in ("<u4", "<f4", "<u4"))
    rows = Rows(tops, targets, counts, file.array("<u4", num_ids), file.array("<f4", num_entries))
    _check_rows(rows, num_entries, size)
    return rows


def _check_rows(rows: Rows, num_entries: int, num_tokens: int) -> None:
    logarithms = (rows.targets, rows.log_p)
    is_sound = (
        int(rows.counts.sum(dtype=np.int64)) == num_entries
        and bool((rows.tops < num_tokens).all() and (rows.ids < num_tokens).all())
        and all(bool(((values >= LEAST_LOG_P) & (values <= ROUNDING)).all()) for values in logarithms)  # no NaN either
    )
    if not is_sound:
        raise DamagedReference("its numbers cannot be probabilities")
