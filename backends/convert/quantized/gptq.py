"""GPTQ: words of 32 bits hold the rows of the transposed weight, each column group with a scale and a zero point.

value = scale * (stored - zero) (GPTQModel `qlinear`; llama.cpp conversion/base.py, `dequant_gptq`). The first version
of the format stores zero - 1. With desc_act the rows of a group do not lie beside each other: g_idx lists their groups.
"""

from functools import partial
from typing import Any

import numpy as np

from backends.child import Refusal
from backends.convert.layout import Floats
from backends.convert.quantized.tensor import INDICES, SCALES, Computed, Parts, check_shape, unpack_columns, unpack_rows
from backends.convert.safetensors import Entry
from backends.convert.sentences import quoted

FORMATS = {None: 1, "gptq": 1, "gptq_v2": 0}  # what is to be added to a stored zero point
BITS = (2, 4, 8)


def read_gptq(settings: dict[str, Any], parts: Parts) -> dict[str, Computed]:
    bits, version = settings.get("bits"), settings.get("checkpoint_format")
    if bits not in BITS or isinstance(bits, bool):
        raise Refusal(f"GPTQ with {quoted(bits)} bits is not supported. Choose the original checkpoint.")
    if version is not None and (not isinstance(version, str) or version not in FORMATS):
        raise Refusal(f"GPTQ in the format {quoted(version)} is not supported. Choose the original checkpoint.")
    names = parts.ending(".qweight")
    if settings.get("desc_act"):  # without the list every row would be taken for one of another group
        for name in names:
            parts.take(f"{name}.g_idx", INDICES, (1,))
    return {f"{name}.weight": _tensor(parts, name, bits, FORMATS[version]) for name in names}


def _tensor(parts: Parts, name: str, bits: int, offset: int) -> Computed:
    words, zeros = parts.take(f"{name}.qweight", ("I32",)), parts.take(f"{name}.qzeros", ("I32",))
    scales = parts.take(f"{name}.scales", SCALES)
    order = parts.find(f"{name}.g_idx", INDICES, (1,))
    columns, rows = words.shape[0] * 32 // bits, words.shape[1]
    groups = scales.shape[0]
    check_shape(f"{name}.scales", scales, (groups, rows))
    check_shape(f"{name}.qzeros", zeros, (groups, rows * bits // 32))
    if order is not None:
        check_shape(f"{name}.g_idx", order, (columns,))
    if not groups or (order is None and columns % groups):
        raise Refusal(f"The groups of tensor {name!r:.80} do not add up.")
    return Computed((rows, columns), partial(_values, name, words, zeros, scales, order, bits, offset))


def _values(
    name: str, words: Entry, zeros: Entry, scales: Entry, order: Entry | None, bits: int, offset: int
) -> Floats:
    factors = scales.read()
    points = (unpack_columns(zeros.load(), bits) + offset).astype(np.float32)
    stored = unpack_rows(words.load(), bits)
    groups = np.arange(len(stored)) // (len(stored) // len(factors)) if order is None else order.load()
    if groups.size and not 0 <= groups.min() <= groups.max() < len(factors):
        raise Refusal(f"Tensor '{name}.g_idx' names a group that does not exist.")
    values = np.empty((stored.shape[1], stored.shape[0]), np.float32)
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        values[:, rows] = ((stored[rows] - points[group]) * factors[group]).T
    return values
