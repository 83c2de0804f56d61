"""MXFP4 as gpt-oss stores its experts: floats of 4 bits, 32 of them with one power of two.

value = float4 * 2^(scale - 127) (transformers `integrations/mxfp4.py`, `convert_moe_packed_tensors`): the result is
what transformers computes with, the matrices transposed. Float16 holds all but the tiniest of them exactly.
"""

from functools import partial
from typing import Any

import numpy as np

from backends.convert.layout import Floats
from backends.convert.quantized.tensor import Computed, Parts, check_shape
from backends.convert.safetensors import Entry
from backends.convert.stored import float8_values

POSITIVE = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
# the two floats of a byte, the lower half of its bits first
PAIRS = np.array([*POSITIVE, *(-value for value in POSITIVE)], np.float32)[np.arange(256)[:, None] >> [0, 4] & 15]
GROUP_BYTES = 16


def read_mxfp4(_settings: dict[str, Any], parts: Parts) -> dict[str, Computed]:
    return {name: _tensor(parts, name) for name in parts.ending("_blocks")}


def _tensor(parts: Parts, name: str) -> Computed:
    blocks, scales = parts.take(f"{name}_blocks", ("U8",), (4,)), parts.take(f"{name}_scales", ("U8",), (3,))
    experts, rows, groups, _ = blocks.shape
    check_shape(f"{name}_blocks", blocks, (experts, rows, groups, GROUP_BYTES))
    check_shape(f"{name}_scales", scales, (experts, rows, groups))
    return Computed((experts, groups * GROUP_BYTES * 2, rows), partial(_values, blocks, scales))


def _values(blocks: Entry, scales: Entry) -> Floats:
    experts, rows, groups, _ = blocks.shape
    values = np.empty((experts, groups * GROUP_BYTES * 2, rows), np.float32)
    powers = float8_values("F8_E8M0")
    for expert, (packed, exponents) in enumerate(zip(blocks.load(), scales.load(), strict=True)):
        matrix = PAIRS[packed].reshape(rows, groups, -1)
        matrix *= powers[exponents][..., None]
        values[expert] = matrix.reshape(rows, -1).T
    return values
