"""Numbers from one float type to another, a piece at a time. Knows no tensor by name, no file of ours.

Between types of 16 bits a table of all 65,536 values is exact and quicker than a way through float32.
"""

import math
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from backends.child import Refusal
from backends.convert.layout import Floats, Run, Source, Values
from backends.convert.packed import BLOCK_BYTES, GROUP, Packed
from backends.convert.safetensors import Entry

FloatType = Literal["f32", "f16", "bf16"]
StoredType = FloatType | Literal["mxfp4"]
STORED: dict[FloatType, np.dtype[Any]] = {"f32": np.dtype("<f4"), "f16": np.dtype("<f2"), "bf16": np.dtype("<u2")}
NAMES: dict[str, FloatType] = {"F32": "f32", "F16": "f16", "BF16": "bf16"}  # safetensors
EXPONENT: dict[FloatType, int] = {"f32": 0x7F80_0000, "f16": 0x7C00, "bf16": 0x7F80}  # all set: NaN or infinite
PIECE = 1 << 18  # elements: a piece and its copies stay in the processor's cache


def num_bytes(count: int, type_: StoredType) -> int:
    return count // GROUP * BLOCK_BYTES if type_ == "mxfp4" else count * STORED[type_].itemsize


def encoded(run: Run, type_: StoredType, name: str) -> Iterator[NDArray[Any]]:
    """The run's elements as `type_` stores them. Raises Refusal, which names the tensor, for what is not finite."""
    if type_ == "mxfp4":
        assert isinstance(run.source, Packed), "nothing becomes MXFP4 that is not"
        yield from run.source.pieces(name)
        return
    for stored_type, values in _pieces(run):
        if not is_finite(values, stored_type):
            raise Refusal(
                f"Tensor {name!r:.80} holds values that are not numbers (NaN or infinite): a damaged checkpoint."
            )
        if run.move is not None:
            values = np.ascontiguousarray(run.move(values))
        if run.compute is not None:
            stored_type, values = "f32", run.compute(to_floats(values, stored_type))
        result = convert(values, stored_type, type_)
        if (stored_type != type_ or run.compute is not None) and not is_finite(result, type_):
            raise Refusal(
                f"Tensor {name!r:.80} holds values too large for {type_.upper()}. Convert to BF16 or F32 instead."
            )
        yield result


def _pieces(run: Run) -> Iterator[tuple[FloatType, Values]]:
    step = run.count if run.move is not None else PIECE
    source = run.source
    if not isinstance(source, Entry):
        flat = _flat(source)
        for start in range(run.start, run.start + run.count, step):
            yield "f32", flat[start : min(start + step, run.start + run.count)]
        return
    type_ = NAMES[source.dtype]
    dtype = STORED[type_]
    with source.path.open("rb", buffering=0) as file:
        file.seek(source.offset + run.start * dtype.itemsize)
        for start in range(0, run.count, step):
            values = np.fromfile(file, dtype, count := min(step, run.count - start))
            if values.size != count:
                raise Refusal(f"{source.path.name} is cut short. Download the checkpoint again.")
            yield type_, values


def are_equal(first: Source, second: Source) -> bool:
    """Number by number; of tensors that lie in files as they are, a piece at a time."""
    if first is second or first.shape != second.shape:
        return first is second
    pieces = (_pieces(Run(source, 0, math.prod(source.shape))) for source in (first, second))
    pairs = zip(*pieces, strict=True)
    return all(np.array_equal(to_floats(a, type_a), to_floats(b, type_b)) for (type_a, a), (type_b, b) in pairs)


@lru_cache(maxsize=1)
def _flat(source: Source) -> Values:
    """The last one is kept: the runs of a tensor come one after the other."""
    return source.read().reshape(-1)


def is_finite(values: Values, type_: FloatType) -> bool:
    """Neither NaN nor infinite, by the bits of the exponent."""
    words: Values = values.view(np.uint32 if type_ == "f32" else np.uint16)
    mask: Any = words.dtype.type(EXPONENT[type_])
    return not words.size or bool((words & mask).max() != mask)


def convert(values: Values, from_: FloatType, to: FloatType) -> NDArray[Any]:
    if from_ == to:
        return values
    if to == "f32":
        return to_floats(values, from_)
    if from_ != "f32":
        # "wrap" looks nothing up outside, and saves the check
        return np.take(_table(from_, to), values.view(np.uint16), mode="wrap")
    return _from_floats(values, to)


def to_floats(values: Values, type_: FloatType) -> Floats:
    """Exact: float32 holds every value of the other two."""
    if type_ == "bf16":
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float32, copy=False)


def _from_floats(values: Floats, to: FloatType) -> NDArray[Any]:
    if to == "f16":
        with np.errstate(over="ignore", invalid="ignore"):  # whoever called asks for infinite ones
            return values.astype("<f2")
    # rounds to nearest, ties to even, as ggml_compute_fp32_to_bf16
    bits = np.ascontiguousarray(values, dtype="<f4").view(np.uint32)
    rounding = ((bits >> 16) & 1) + np.uint32(0x7FFF)
    return ((bits + rounding) >> 16).astype("<u2")


@cache
def _table(from_: FloatType, to: FloatType) -> NDArray[Any]:
    every = np.arange(1 << 16, dtype="<u2").view(STORED[from_])
    return _from_floats(to_floats(every, from_), to)
