"""AWQ in its GEMM order: words of 32 bits hold eight columns of the transposed weight in an interleaved order.

value = scale * (stored - zero) (AutoAWQ `utils/packing_utils.py`: unpack_awq, reverse_awq_order, dequantize_gemm).
"""

from functools import partial
from typing import Any

import numpy as np

from backends.child import Refusal
from backends.convert.layout import Floats
from backends.convert.quantized.tensor import SCALES, Computed, Ints, Parts, check_shape, unpack_columns
from backends.convert.safetensors import Entry
from backends.convert.sentences import quoted, shown

BITS = 4
ORDER = (0, 4, 1, 5, 2, 6, 3, 7)  # where column 0, 1, 2, … of eight lies in a word


def read_awq(settings: dict[str, Any], parts: Parts) -> dict[str, Computed]:
    bits, version = settings.get("bits", settings.get("w_bit")), shown(settings.get("version", "gemm")).lower()
    if bits != BITS or isinstance(bits, bool):
        raise Refusal(f"AWQ with {quoted(bits)} bits is not supported. Choose the original checkpoint.")
    if version != "gemm":
        raise Refusal(f"AWQ in the order {version:.40} is not supported. Choose the original checkpoint.")
    return {f"{name}.weight": _tensor(parts, name) for name in parts.ending(".qweight")}


def _tensor(parts: Parts, name: str) -> Computed:
    words, zeros = parts.take(f"{name}.qweight", ("I32",)), parts.take(f"{name}.qzeros", ("I32",))
    scales = parts.take(f"{name}.scales", SCALES)
    columns, rows = words.shape[0], words.shape[1] * 8
    groups = scales.shape[0]
    check_shape(f"{name}.scales", scales, (groups, rows))
    check_shape(f"{name}.qzeros", zeros, (groups, rows // 8))
    if not groups or columns % groups:
        raise Refusal(f"The groups of tensor {name!r:.80} do not add up.")
    return Computed((rows, columns), partial(_values, words, zeros, scales))


def _values(words: Entry, zeros: Entry, scales: Entry) -> Floats:
    factors = scales.read()
    points, packed = _in_order(zeros.load()).astype(np.float32), words.load()
    size = len(packed) // len(factors)
    values = np.empty((factors.shape[1], len(packed)), np.float32)
    for group, (point, factor) in enumerate(zip(points, factors, strict=True)):
        rows = slice(group * size, (group + 1) * size)
        values[:, rows] = ((_in_order(packed[rows]) - point) * factor).T
    return values


def _in_order(packed: Ints) -> Ints:
    eights = unpack_columns(packed, BITS).reshape(len(packed), -1, 8)
    return eights[..., ORDER].reshape(len(packed), -1)
