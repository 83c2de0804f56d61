"""gguf's own writer, which packs the arrays of a vocabulary at once instead of item by item. Knows no tokenizer."""

import struct
from itertools import chain
from typing import Any

import gguf
import numpy as np

NUMBERS = {int: (gguf.GGUFValueType.INT32, "<i4"), float: (gguf.GGUFValueType.FLOAT32, "<f4")}


class VocabularyWriter(gguf.GGUFWriter):  # type: ignore[misc]
    """A third of a conversion of a small model would be the library's calls per token otherwise."""

    def _pack_val(self, val: Any, vtype: Any, add_vtype: bool, sub_type: Any = None) -> bytes | bytearray:
        packed = packed_array(val) if vtype == gguf.GGUFValueType.ARRAY and type(val) is list and add_vtype else None
        if packed is None:
            plain: bytearray = super()._pack_val(val, vtype, add_vtype, sub_type)
            return plain
        return struct.pack("<I", gguf.GGUFValueType.ARRAY) + packed


def packed_array(values: list[Any]) -> bytes | None:
    """Its items' type, count and bytes, little endian; None for what is not a list of one of the usual kinds."""
    kinds = set(map(type, values))
    if kinds == {str}:
        texts = list(map(str.encode, values))
        sizes = list(map(len, texts))
        prefixes = {size: struct.pack("<Q", size) for size in set(sizes)}
        body = b"".join(chain.from_iterable(zip(map(prefixes.__getitem__, sizes), texts, strict=True)))
        type_ = gguf.GGUFValueType.STRING
    elif len(kinds) == 1 and (kind := kinds.pop()) in NUMBERS:
        type_, stored = NUMBERS[kind]
        body = np.array(values, dtype=stored).tobytes()
    else:
        return None
    return struct.pack("<IQ", type_, len(values)) + body
