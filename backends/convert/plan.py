"""Lays out a GGUF file before a byte is written: which tensor comes from where, in which type."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from backends.child import Refusal
from backends.convert.architectures import (
    ARCHITECTURES,
    EMBEDDING,
    IGNORED_SUFFIXES,
    OUTPUT,
    OUTPUT_NORM,
    Architecture,
    Row,
)
from backends.convert.config import Config, Rope, RopeKind, Size
from backends.convert.safetensors import Entry

FloatType = Literal["f32", "f16", "bf16"]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class PlannedTensor:
    """`read` gives the values in `shape` (outermost dimension first) as float32."""

    name: str
    shape: tuple[int, ...]
    type: FloatType
    read: Callable[[], Floats]

    @property
    def num_bytes(self) -> int:
        return math.prod(self.shape) * (4 if self.type == "f32" else 2)


def find_architecture(config: Config) -> Architecture:
    architecture = ARCHITECTURES.get(config.architecture)
    if architecture is None:
        known = ", ".join(name.removesuffix("ForCausalLM") for name in ARCHITECTURES)
        raise Refusal(f"The architecture {config.architecture} is not supported yet. These are: {known}.")
    if config.rope.kind not in architecture.ropes:
        raise Refusal(f"The rotary scaling {config.rope.kind!s} is not supported for {config.architecture}.")
    return architecture


def usable_context(architecture: Architecture, config: Config) -> int:
    """Tokens for which llama.cpp, without a sliding window in these graphs, equals transformers."""
    if config.sliding_window is None:
        return config.context
    if architecture.window_caps_context:
        return min(config.context, config.sliding_window)
    if config.raw.get("use_sliding_window"):
        raise Refusal(f"A sliding window is not supported for {config.architecture}.")
    return config.context


def plan_tensors(
    architecture: Architecture, config: Config, entries: dict[str, Entry], type_: FloatType
) -> list[PlannedTensor]:
    """Every tensor of the new file in order. Refuses one that is missing, unknown or of another shape."""
    tensors = []
    unused = {name for name in entries if not name.endswith(IGNORED_SUFFIXES)}
    if config.is_tied:  # some files carry the copy all the same
        unused.discard(OUTPUT.source)
    for row, source, target in _rows(architecture, config):
        if source not in entries:
            if row.is_required:
                raise Refusal(f"The checkpoint is not complete: tensor {source!r} is missing.")
            continue
        unused.discard(source)
        tensors.append(_planned(row, source, target, entries[source], config, type_))
    if unused:
        raise Refusal(f"Tensor {min(unused)!r} is not known for {config.architecture}, so nothing was converted.")
    if config.rope.kind is RopeKind.LLAMA3:
        factors = rope_factors(config.rope, config.sizes[Size.HEAD])
        tensors.append(PlannedTensor("rope_freqs.weight", factors.shape, "f32", lambda: factors))
    return tensors


def _rows(architecture: Architecture, config: Config) -> Iterator[tuple[Row, str, str]]:
    yield EMBEDDING, EMBEDDING.source, EMBEDDING.target
    for layer in range(config.num_layers):
        for row in architecture.layer:
            yield row, f"model.layers.{layer}.{row.source}", f"blk.{layer}.{row.target}"
    yield OUTPUT_NORM, OUTPUT_NORM.source, OUTPUT_NORM.target
    if not config.is_tied:
        yield OUTPUT, OUTPUT.source, OUTPUT.target


def _planned(row: Row, source: str, target: str, entry: Entry, config: Config, type_: FloatType) -> PlannedTensor:
    shape = tuple(config.sizes[size] for size in row.shape)
    if entry.shape != shape:
        raise Refusal(
            f"Tensor {source!r} has the shape {entry.shape}, but config.json asks for {shape}: "
            "the files do not belong together."
        )
    read = entry.read
    if row.rotary is not None:
        read = partial(_in_pairs, entry, config.sizes[row.rotary.value])
    # llama.cpp computes norms and biases in F32 and they weigh nothing
    return PlannedTensor(target, shape, "f32" if len(shape) == 1 else type_, read)


def _in_pairs(entry: Entry, num_heads: int) -> Floats:
    """Each head's rows from two halves to pairs (llama.cpp conversion/llama.py, `permute`)."""
    values = entry.read()
    half = values.shape[0] // num_heads // 2
    return values.reshape(num_heads, 2, half, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)


def rope_factors(rope: Rope, head: int) -> Floats:
    """head / 2 divisors of the rotary frequencies (transformers `_compute_llama3_parameters`)."""
    wavelengths = 2 * math.pi * rope.theta ** (np.arange(0, head, 2, dtype=np.float64) / head)
    longest = rope.original_context / rope.low_freq_factor
    shortest = rope.original_context / rope.high_freq_factor
    smooth = (rope.original_context / wavelengths - rope.low_freq_factor) / (
        rope.high_freq_factor - rope.low_freq_factor
    )
    between = 1 / ((1 - smooth) / rope.factor + smooth)
    factors = np.where(wavelengths < shortest, 1, np.where(wavelengths > longest, rope.factor, between))
    return factors.astype(np.float32)
