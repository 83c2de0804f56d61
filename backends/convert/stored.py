"""How safetensors stores numbers, and what they are as float32. Knows no file."""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

DTYPES: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
}
# held by a checkpoint that is quantized, or older than its tools: never written as they are
RARE_DTYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F8_E4M3": np.dtype("u1"),
    "F8_E5M2": np.dtype("u1"),
    "F8_E8M0": np.dtype("u1"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U64": np.dtype("<u8"),
    "U32": np.dtype("<u4"),
    "U16": np.dtype("<u2"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
ALL_DTYPES = DTYPES | RARE_DTYPES


def as_floats(stored: NDArray[Any], dtype: str) -> NDArray[np.float32]:
    if dtype == "BF16":
        return (stored.astype(np.uint32) << 16).view(np.float32)
    if dtype.startswith("F8"):
        return np.take(float8_values(dtype), stored)
    return stored.astype(np.float32, copy=False)


@cache
def float8_values(dtype: str) -> NDArray[np.float32]:
    """What the 256 bytes stand for (OCP OFP8; "fn": E4M3 knows NaN, but nothing infinite)."""
    bits = np.arange(256)
    if dtype == "F8_E8M0":
        return np.append(np.exp2(bits[:255] - 127.0), np.nan).astype(np.float32)
    mantissa_bits, bias = (3, 7) if dtype == "F8_E4M3" else (2, 15)
    exponent = (bits & 0x7F) >> mantissa_bits
    mantissa = (bits & ((1 << mantissa_bits) - 1)) / (1 << mantissa_bits)
    values = np.where(exponent == 0, mantissa * 2.0 ** (1 - bias), (1 + mantissa) * 2.0 ** (exponent - bias))
    if dtype == "F8_E4M3":
        values[(bits & 0x7F) == 0x7F] = np.nan
    else:
        values[exponent == 31] = np.where(mantissa[exponent == 31] == 0, np.inf, np.nan)
    return np.where(bits < 128, values, -values).astype(np.float32)
