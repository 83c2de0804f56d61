"""compressed-tensors (vLLM's llm-compressor): FP8, whole numbers of 8 bits, and whole numbers packed into words.

value = scale * (stored - zero); packed numbers are stored with half their range added, and so are packed zero points
(compressed_tensors `pack_to_int32`, `dequantize`; llama.cpp conversion/base.py, `dequant_packed`).
"""

from functools import partial
from typing import Any

import numpy as np

from backends.child import Refusal
from backends.convert.layout import Floats
from backends.convert.quantized.fp8 import FLOAT8, UNUSED, is_block, scaled
from backends.convert.quantized.tensor import (
    INDICES,
    SCALES,
    Computed,
    Parts,
    check_shape,
    scale_columns,
    unpack_columns,
    unpack_rows,
)
from backends.convert.safetensors import Entry
from backends.convert.sentences import quoted

PLAIN_FORMATS = ("float-quantized", "int-quantized", "naive-quantized")
BITS = (4, 8)
INPUT_SCALE = ".input_scale"
REORDERED = ("group", "dynamic", True)  # actorder: the columns of a group do not lie beside each other


def read_compressed(settings: dict[str, Any], parts: Parts) -> dict[str, Computed]:
    form = settings.get("format")
    if settings.get("transform_config"):
        raise Refusal("The weights of this checkpoint are rotated (transform_config). Choose the original checkpoint.")
    weights = _scheme(settings)
    if form in PLAIN_FORMATS and weights.get("type") == "float":
        return _floats(weights, parts)
    if form in PLAIN_FORMATS:
        return _integers(parts)
    if form == "pack-quantized":
        return _packed(weights, parts)
    raise Refusal(f"compressed-tensors in the format {quoted(form)} is not supported. Choose the original checkpoint.")


def _scheme(settings: dict[str, Any]) -> dict[str, Any]:
    """How weights are quantized: one way for all of them."""
    groups = settings.get("config_groups")
    schemes = [g.get("weights") for g in groups.values() if isinstance(g, dict)] if isinstance(groups, dict) else []
    if not schemes or not isinstance(schemes[0], dict) or any(scheme != schemes[0] for scheme in schemes):
        raise Refusal("The checkpoint is quantized in several ways at once. Choose the original checkpoint.")
    return schemes[0]


def _floats(weights: dict[str, Any], parts: Parts) -> dict[str, Computed]:
    block = weights.get("block_structure")
    if weights.get("num_bits") != 8 or (block is not None and not is_block(block)):
        raise Refusal(
            "compressed-tensors with floats other than FP8 are not supported. Choose the original checkpoint."
        )
    parts.drop(UNUSED)
    names = [name for name in parts.ending("_scale") if f"{name}_scale" not in parts.taken]
    return {name: scaled(parts, name, f"{name}_scale", FLOAT8, block) for name in names}


def _integers(parts: Parts) -> dict[str, Computed]:
    if parts.ending(INPUT_SCALE):
        raise Refusal(
            "This checkpoint computes in whole numbers (W8A8 with fixed scales of activations, as SmoothQuant). "
            "Choose the original checkpoint."
        )
    return {name: _integer(parts, name) for name in parts.ending("_scale")}


def _integer(parts: Parts, name: str) -> Computed:
    weight, scale = parts.take(name, ("I8",)), parts.take(f"{name}_scale", SCALES, (0, 1, 2))
    zero = parts.find(f"{name}_zero_point", ("I8",), (0, 1, 2))
    rows, columns = weight.shape
    groups = _grouped(name, scale, rows, columns)
    if zero is not None:
        check_shape(f"{name}_zero_point", zero, scale.shape)
    return Computed(weight.shape, partial(_integer_values, weight, scale, zero, groups))


def _grouped(name: str, scale: Entry, rows: int, columns: int) -> int:
    """Into how many groups the scale cuts a row."""
    groups = scale.shape[1] if len(scale.shape) == 2 else 1
    if scale.num_elements not in (1, rows * groups) or not groups or columns % groups:
        raise Refusal(f"Tensor '{name}_scale' has the shape {scale.shape}, which does not go with {(rows, columns)}.")
    return groups


def _integer_values(weight: Entry, scale: Entry, zero: Entry | None, groups: int) -> Floats:
    values = weight.read()
    grouped = values.reshape(len(values), groups, -1)
    if zero is not None:
        grouped -= zero.read().reshape(-1, groups, 1)
    grouped *= scale.read().reshape(-1, groups, 1)
    return values


def _packed(weights: dict[str, Any], parts: Parts) -> dict[str, Computed]:
    bits = weights.get("num_bits")
    if bits not in BITS or isinstance(bits, bool) or weights.get("type", "int") != "int":
        raise Refusal(f"compressed-tensors with {quoted(bits)} bits are not supported. Choose the original checkpoint.")
    names = parts.ending("_packed")
    if weights.get("actorder") in REORDERED:
        for name in names:
            parts.take(f"{name}_g_idx", INDICES, (1,))
    return {name: _packed_tensor(parts, name, bits) for name in names}


def _packed_tensor(parts: Parts, name: str, bits: int) -> Computed:
    words, scale = parts.take(f"{name}_packed", ("I32",)), parts.take(f"{name}_scale", SCALES)
    sides = parts.take(f"{name}_shape", INDICES, (1,))
    check_shape(f"{name}_shape", sides, (2,))  # before it is read: it may say that it is a terabyte
    shape = tuple(int(n) for n in sides.load())
    zero = parts.find(f"{name}_zero_point", ("I32",))
    order = parts.find(f"{name}_g_idx", INDICES, (1,))
    per_word = 32 // bits
    if len(shape) != 2 or min(shape) < 1 or words.shape != (shape[0], -(-shape[1] // per_word)):
        raise Refusal(f"Tensor '{name}_packed' has the shape {words.shape}, which does not go with {shape}.")
    groups = _grouped(name, scale, *shape)
    if scale.shape != (shape[0], groups):
        raise Refusal(f"Tensor '{name}_scale' has the shape {scale.shape}, which does not go with {shape}.")
    if zero is not None:
        check_shape(f"{name}_zero_point", zero, (-(-shape[0] // per_word), groups))
    if order is not None:
        check_shape(f"{name}_g_idx", order, (shape[1],))
    return Computed(shape, partial(_packed_values, name, words, scale, zero, order, shape, bits))


def _packed_values(
    name: str, words: Entry, scale: Entry, zero: Entry | None, order: Entry | None, shape: tuple[int, int], bits: int
) -> Floats:
    rows, columns = shape
    factors = scale.read()
    group_of = np.arange(columns) // (columns // factors.shape[1])
    if order is not None and (listed := order.load()).min() >= 0:  # −1: the groups are in order
        if listed.max() >= factors.shape[1]:
            raise Refusal(f"Tensor '{name}_g_idx' names a group that does not exist.")
        group_of = listed.astype(np.intp)
    values = unpack_columns(words.load(), bits)[:, :columns].astype(np.float32)
    if zero is None:
        values -= 1 << (bits - 1)
    else:
        values -= unpack_rows(zero.load(), bits)[:rows].astype(np.float32)[:, group_of]
    scale_columns(values, factors, group_of)
    return values
