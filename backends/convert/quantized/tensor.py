"""A tensor that is computed from others when it is read. Knows no method of quantization."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from backends.child import Refusal
from backends.convert.layout import Floats
from backends.convert.safetensors import Entry

Ints = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Computed:
    """compute gives the values in `shape` when somebody reads them."""

    shape: tuple[int, ...]
    compute: Callable[[], Floats]

    def read(self) -> Floats:
        return _values(self)


@lru_cache(maxsize=1)
def _values(tensor: Computed) -> Floats:
    """The last one is kept: a writer reads a tensor run by run."""
    return tensor.compute()


class Parts:
    """The entries that belong to quantized tensors, by name. Whoever takes one says what it must look like."""

    def __init__(self, entries: dict[str, Entry]):
        self._entries = entries
        self.taken: set[str] = set()

    def ending(self, suffix: str) -> list[str]:
        """What stands before the suffix in the names that end with it."""
        return [name.removesuffix(suffix) for name in self._entries if name.endswith(suffix)]

    def take(self, name: str, dtypes: tuple[str, ...], num_dims: tuple[int, ...] = (2,)) -> Entry:
        entry = self._entries.get(name)
        if entry is None:
            raise Refusal(f"The checkpoint is not complete: tensor {name!r:.80} is missing.")
        if entry.dtype not in dtypes or len(entry.shape) not in num_dims:
            raise Refusal(f"Tensor {name!r:.80} is not stored as its method of quantization says ({entry.dtype}).")
        self.taken.add(name)
        return entry

    def find(self, name: str, dtypes: tuple[str, ...], num_dims: tuple[int, ...] = (2,)) -> Entry | None:
        return self.take(name, dtypes, num_dims) if name in self._entries else None

    def drop(self, suffixes: tuple[str, ...]) -> None:
        """What only a computation in low precision needs: scales of activations and of the cache."""
        self.taken |= {name for name in self._entries if name.endswith(suffixes)}

    def rest(self) -> dict[str, Entry]:
        return {name: entry for name, entry in self._entries.items() if name not in self.taken}


SCALES = ("F32", "F16", "BF16")
INDICES = ("I32", "I64")


def check_shape(name: str, entry: Entry, wanted: tuple[int, ...]) -> None:
    if entry.shape != wanted:
        raise Refusal(
            f"Tensor {name!r:.80} has the shape {entry.shape} where its method of quantization needs {wanted}."
        )


def unpack_columns(packed: Ints, bits: int) -> Ints:
    """[rows, n] words to [rows, n * 32 / bits] unsigned numbers, the lowest bits first."""
    shifts = np.arange(0, 32, bits, dtype=np.int32)
    return ((packed[..., None] >> shifts) & ((1 << bits) - 1)).reshape(packed.shape[0], -1)


def unpack_rows(packed: Ints, bits: int) -> Ints:
    """[n, columns] words to [n * 32 / bits, columns] unsigned numbers, the lowest bits first."""
    shifts = np.arange(0, 32, bits, dtype=np.int32)
    return ((packed[:, None, :] >> shifts[None, :, None]) & ((1 << bits) - 1)).reshape(-1, packed.shape[1])


def scale_columns(values: Floats, scales: Floats, group_of: NDArray[np.intp]) -> None:
    """In place: each column by the scale of its group, scales being [rows, groups]. By runs, to copy little."""
    starts = np.flatnonzero(np.diff(group_of, prepend=-1))
    for start, end in zip(starts, [*starts[1:], len(group_of)], strict=True):
        values[:, start:end] *= scales[:, group_of[start], None]
