"""Watches a model at work and adds up how large each input of each weight matrix was.

The same sums as llama.cpp's own tool makes (tools/imatrix/imatrix.cpp, `collect_imatrix`): squares of the columns of
what goes into every MUL_MAT of a "blk." weight, and for experts (MUL_MAT_ID) of the rows that were routed to each.
"""

import ctypes
import sys
from dataclasses import dataclass
from itertools import count
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from backends.child import Refusal
from backends.llama.binding import lib, libraries

MIN_ROWS = 16  # smaller products are those of single tokens
F32 = 0  # of ggml.h's ggml_type
PREFIX = "blk."

Doubles = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


class Tensor(ctypes.Structure):
    """ggml.h's ggml_tensor, up to its name. `Collector` compares it with what the library says."""


Tensor._fields_ = [
    ("type", ctypes.c_int),
    ("buffer", ctypes.c_void_p),
    ("ne", ctypes.c_int64 * 4),
    ("nb", ctypes.c_size_t * 4),
    ("op", ctypes.c_int),
    ("op_params", ctypes.c_int32 * 16),
    ("flags", ctypes.c_int32),
    ("src", ctypes.POINTER(Tensor) * 10),
    ("view_src", ctypes.c_void_p),
    ("view_offs", ctypes.c_size_t),
    ("data", ctypes.c_void_p),
    ("name", ctypes.c_char * 64),
]


@dataclass(slots=True)
class Entry:
    """Of one weight: sums [number of matrices, columns], counts [1 or number of experts]."""

    sums: Doubles
    counts: Counts


class Collector:
    """`callback` goes into the context's cb_eval. `raise_fault` after each decode: a callback cannot raise."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.callback = lib.ggml_backend_sched_eval_callback(self._hear)
        self._ggml = _ggml()
        # counted upwards and no further than found: behind its last name the library reads anything
        names = map(self._ggml.ggml_op_name, count())
        self._product = next(op for op, name in enumerate(names) if name == b"MUL_MAT")
        self._experts = self._product + 1
        assert self._ggml.ggml_op_name(self._experts) == b"MUL_MAT_ID"
        self._is_checked = False
        self._fault: Exception | None = None
        self._last: tuple[int, Doubles] | None = None  # q, k and v have the same input, so have gate and up

    def raise_fault(self) -> None:
        self._last = None  # the next graph may have another tensor at the same place
        if self._fault is not None:
            raise self._fault

    def check_finite(self) -> None:
        """Raises Refusal for a model that computes what no number can hold."""
        for name, entry in self.entries.items():
            if not np.isfinite(entry.sums).all():
                raise Refusal(
                    f"The model computes infinite or undefined numbers before {name!r}, so its weights are damaged or "
                    "do not fit into its type. Convert it again as BF16 or F32."
                )

    def _hear(self, address: int, is_question: bool, _user_data: object) -> bool:
        """Asked whether a tensor is wanted, and called again once it is computed."""
        try:
            tensor = Tensor.from_address(address)
            if not self._is_checked:
                self._check_layout(tensor)
            if is_question:
                return self._wants(tensor)
            self._collect(tensor)
        except Exception as fault:  # an exception in here would vanish
            self._fault = fault
            return False
        return True

    def _wants(self, tensor: Tensor) -> bool:
        if tensor.op == self._experts:
            return True
        if tensor.op != self._product:
            return False
        data = tensor.src[1].contents
        return data.ne[1] >= MIN_ROWS and data.type == F32 and _name(tensor.src[0].contents).startswith(PREFIX)

    def _collect(self, tensor: Tensor) -> None:
        weight, data = tensor.src[0].contents, tensor.src[1].contents
        num_matrices = weight.ne[2] * weight.ne[3]
        columns = data.ne[0]
        entry = self.entries.setdefault(_name(weight), Entry(np.zeros((num_matrices, columns)), np.zeros(1, np.int64)))
        if entry.sums.shape != (num_matrices, columns):
            raise Refusal(f"The model uses {_name(weight)!r} in two shapes, which no importance matrix can say.")
        if tensor.op == self._experts:
            self._add_experts(entry, data, tensor.src[2].contents)
        else:
            self._add_product(entry, data, weight)

    def _add_product(self, entry: Entry, data: Tensor, weight: Tensor) -> None:
        sums = self._sums(data)
        if len(entry.sums) == 1:
            entry.sums += sums.reshape(-1, data.ne[0]).sum(axis=0)
        else:
            for outer in range(data.ne[3]):
                for inner in range(data.ne[2]):
                    entry.sums[outer % weight.ne[3] * weight.ne[2] + inner % weight.ne[2]] += sums[outer, inner]
        entry.counts += data.ne[1] * data.ne[2] * data.ne[3] // len(entry.sums)

    def _sums(self, data: Tensor) -> Doubles:
        """[ne3, ne2, columns]: over the rows, the squares of an input."""
        address = ctypes.addressof(data)
        if self._last is None or self._last[0] != address:
            values = self._array(data, np.float32)
            self._last = address, np.square(values).sum(axis=2).astype(np.float64)
        return self._last[1]

    def _add_experts(self, entry: Entry, data: Tensor, routes: Tensor) -> None:
        """data: [tokens, 1 or used experts, columns]; routes: [tokens, used experts]."""
        experts = self._array(routes, np.int32)[0, 0]
        values = self._array(data, np.float32)[0]
        assert len(experts) == len(values)
        if len(entry.counts) != len(entry.sums):
            entry.counts = np.repeat(entry.counts, len(entry.sums))
        order = np.argsort(experts, axis=None, kind="stable")
        tokens, used = np.divmod(order, experts.shape[1])
        present, starts = np.unique(experts.reshape(-1)[order], return_index=True)
        rows = np.square(values[tokens, used % values.shape[1]])
        entry.sums[present] += np.add.reduceat(rows, starts, axis=0)
        entry.counts[present] += np.diff(starts, append=len(order))

    def _array(self, tensor: Tensor, kind: type[np.generic]) -> npt.NDArray[Any]:
        """[ne3, ne2, ne1, ne0] without a copy where the memory is the processor's own."""
        shape, strides = tuple(tensor.ne)[::-1], tuple(tensor.nb)[::-1]
        size = 4 + sum((length - 1) * step for length, step in zip(shape, strides, strict=True))
        if self._ggml.ggml_backend_buffer_is_host(tensor.buffer):
            memory: Any = (ctypes.c_char * size).from_address(tensor.data)
        else:
            memory = ctypes.create_string_buffer(size)
            self._ggml.ggml_backend_tensor_get(ctypes.byref(tensor), memory, 0, size)
        return np.ndarray(shape, kind, memory, strides=strides)

    def _check_layout(self, tensor: Tensor) -> None:
        """A library of another version has its fields elsewhere, and reading there would end the process."""
        size = self._ggml.ggml_nelements(ctypes.byref(tensor))
        if self._ggml.ggml_get_name(ctypes.byref(tensor)) != tensor.name or size != prod(tensor.ne):
            raise Refusal("This build of llama.cpp is not the one that Slipstream knows. Install it again.")
        self._is_checked = True


def _name(tensor: Tensor) -> str:
    """CUDA0#blk.0.attn_k.weight#0 is blk.0.attn_k.weight."""
    name: bytes = tensor.name
    return (name.split(b"#")[1] if b"#" in name else name).decode("utf-8", "replace")


def _ggml() -> Any:
    """Through the binding's handle: another one would open a second copy of the library."""
    ggml: Any = lib._lib
    if sys.platform == "win32":  # only there a handle does not reach the libraries it depends on
        ggml = ctypes.CDLL(str(libraries() / "ggml-base.dll"))
    ggml.ggml_op_name.restype, ggml.ggml_op_name.argtypes = ctypes.c_char_p, [ctypes.c_int]
    ggml.ggml_get_name.restype, ggml.ggml_get_name.argtypes = ctypes.c_char_p, [ctypes.c_void_p]
    ggml.ggml_nelements.restype, ggml.ggml_nelements.argtypes = ctypes.c_int64, [ctypes.c_void_p]
    ggml.ggml_backend_buffer_is_host.restype = ctypes.c_bool
    ggml.ggml_backend_buffer_is_host.argtypes = [ctypes.c_void_p]
    sizes = [ctypes.c_size_t, ctypes.c_size_t]
    ggml.ggml_backend_tensor_get.restype = None
    ggml.ggml_backend_tensor_get.argtypes = [ctypes.c_void_p, ctypes.c_void_p, *sizes]
    return ggml
