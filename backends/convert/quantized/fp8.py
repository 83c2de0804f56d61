"""FP8 weights with one scale, one per row or one per block, as DeepSeek, Qwen, Mistral and vLLM's tools store them.

value = stored * scale (llama.cpp conversion/base.py, `dequant_simple`; transformers `FineGrainedFP8`), although some
call the scale an inverse one.
"""

from functools import partial
from typing import Any

import numpy as np

from backends.child import Refusal
from backends.convert.layout import Floats
from backends.convert.quantized.tensor import SCALES, Computed, Parts
from backends.convert.safetensors import Entry

FLOAT8 = ("F8_E4M3", "F8_E5M2")
# of activations and the cache: the computation here is in full precision
UNUSED = (".activation_scale", "_activation_scale", ".input_scale", ".k_scale", ".v_scale", ".output_scale")
MAX_BLOCK = 1 << 16


def read_fp8(settings: dict[str, Any], parts: Parts) -> dict[str, Computed]:
    block = settings.get("weight_block_size")
    if block is not None and not is_block(block):
        raise Refusal("config.json holds no valid weight_block_size.")
    found: dict[str, Computed] = {}
    parts.drop(UNUSED)
    for suffix in ("_scale_inv", "_scale"):
        for name in parts.ending(suffix):
            if name + suffix not in parts.taken:
                found[name] = scaled(parts, name, name + suffix, FLOAT8, block)
    return found


def is_block(block: Any) -> bool:
    return isinstance(block, list) and len(block) == 2 and all(type(n) is int and 0 < n < MAX_BLOCK for n in block)


def scaled(parts: Parts, name: str, scale_name: str, dtypes: tuple[str, ...], block: list[int] | None) -> Computed:
    """The weight `name`, whose scale counts for all of it, for a row, or for a block of rows and columns."""
    weight = parts.take(name, dtypes, (2, 3))
    scale = parts.take(scale_name, SCALES, (0, 1, 2, 3))
    rows, columns = weight.shape[-2:]
    outer = weight.shape[:-2]
    if block is not None:
        down, across = (-(-rows // block[0]), -(-columns // block[1]))
        fits = scale.shape == (*outer, down, across)
    else:
        fits = scale.num_elements == 1 or scale.shape in ((*outer, rows), (*outer, rows, 1))
    if not fits:
        raise Refusal(f"Tensor {scale_name!r:.80} has the shape {scale.shape}, which does not go with {weight.shape}.")
    return Computed(weight.shape, partial(_scaled, weight, scale, block))


def _scaled(weight: Entry, scale: Entry, block: list[int] | None) -> Floats:
    values, factors = weight.read(), scale.read()
    if block is None:
        values *= factors if factors.size == 1 else factors.reshape(*values.shape[:-1], 1)
        return values
    height, width = block
    for row in range(factors.shape[-2]):  # a row of blocks at a time, so that no second tensor is needed
        columns = np.repeat(factors[..., row, :], width, axis=-1)[..., None, : values.shape[-1]]
        values[..., row * height : (row + 1) * height, :] *= columns
    return values
