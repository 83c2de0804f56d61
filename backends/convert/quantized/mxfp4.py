"""MXFP4 as gpt-oss stores its experts: floats of 4 bits, 32 of them with one power of two. They stay as they are."""

from typing import Any

from backends.convert.packed import GROUP_BYTES, Packed
from backends.convert.quantized.tensor import Parts, check_shape

BLOCKS = "_blocks"


def read_mxfp4(_settings: dict[str, Any], parts: Parts) -> dict[str, Packed]:
    """Under the names of the blocks, whose rows are those of GGUF; without them the matrices lie transposed."""
    return {name + BLOCKS: _tensor(parts, name) for name in parts.ending(BLOCKS)}


def _tensor(parts: Parts, name: str) -> Packed:
    blocks, scales = parts.take(f"{name}_blocks", ("U8",), (4,)), parts.take(f"{name}_scales", ("U8",), (3,))
    experts, rows, groups, _ = blocks.shape
    check_shape(f"{name}_blocks", blocks, (experts, rows, groups, GROUP_BYTES))
    check_shape(f"{name}_scales", scales, (experts, rows, groups))
    return Packed(blocks, scales)
