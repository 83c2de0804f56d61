"""The rotary embedding as config.json describes it, of transformers 4 and 5, and its factors as tensors."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.child import Refusal
from backends.convert.bounds import is_within
from backends.convert.sentences import quoted

DEFAULT_THETA = 10_000.0  # of most of transformers' configuration classes, for files older than the key
ORIGINAL_CONTEXT = "original_max_position_embeddings"
FULL, LOCAL = "full_attention", "sliding_attention"


class RopeKind(StrEnum):
    PLAIN = "default"
    LINEAR = "linear"
    LLAMA3 = "llama3"
    LONGROPE = "longrope"
    YARN = "yarn"
    PROPORTIONAL = "proportional"


@dataclass(frozen=True, slots=True)
class Rope:
    """`table` holds the settings of its kind as they stand in the file."""

    kind: RopeKind
    theta: float
    partial: float  # of each head: the share that is turned
    table: Mapping[str, Any]

    def number(self, key: str, default: float | None = None) -> float:
        value = self.table.get(key)
        value = default if value is None else value
        if not is_within(key, value):
            raise Refusal(f"config.json holds no valid {key}.")
        return float(value)  # type: ignore[arg-type]

    @property
    def original_context(self) -> int:
        """Tokens that the model was first trained for, before its rotary embedding was stretched."""
        value = self.number(ORIGINAL_CONTEXT)
        if value != int(value):
            raise Refusal("config.json holds no valid original_max_position_embeddings.")
        return int(value)

    def optional_number(self, key: str) -> float | None:
        return None if self.table.get(key) is None else self.number(key)


def read_ropes(raw: Mapping[str, Any]) -> tuple[Rope, Rope | None]:
    """The rope of all layers, or of the full layers and of those with a window. Raises Refusal.

    transformers 5 writes rope_parameters, nested by the kind of layer where these differ; 4 wrote rope_scaling
    beside rope_theta, and rope_local_base_freq for the layers with a window.
    """
    table = _table(raw)
    if any(isinstance(value, dict) for value in table.values()):
        if set(table) != {FULL, LOCAL} or not all(isinstance(value, dict) for value in table.values()):
            raise Refusal("Rotary settings that differ between layers in this way are not supported.")
        if table[LOCAL].get("rope_theta") is None:  # what stands for it is another number for each architecture
            raise Refusal(f"config.json names no rope_theta for layers of the type {LOCAL!r}.")
        return _rope(raw, table[FULL]), _rope({}, table[LOCAL])
    rope = _rope(raw, table)
    local = raw.get("rope_local_base_freq")
    return rope, None if local is None else _rope({}, {"rope_theta": local})


def _table(raw: Mapping[str, Any]) -> dict[str, Any]:
    tables = [table for key in ("rope_parameters", "rope_scaling") if (table := raw.get(key))]
    if not all(isinstance(table, dict) for table in tables):
        raise Refusal("The rotary settings in config.json are not a table.")
    if len(tables) == 2 and tables[0] != tables[1]:
        raise Refusal(
            "config.json holds two different tables of rotary settings, rope_parameters and rope_scaling. "
            "Remove the one that the model was not trained with."
        )
    return tables[0] if tables else {}


def _rope(raw: Mapping[str, Any], table: Mapping[str, Any]) -> Rope:
    name = table.get("rope_type", table.get("type")) or "default"
    name = "longrope" if name == "su" else name  # its name in the first Phi-3 files
    if name not in list(RopeKind):
        raise Refusal(f"The rotary scaling {quoted(name)} is not supported.")
    keys = ("partial_rotary_factor", ORIGINAL_CONTEXT, "max_position_embeddings")
    outer = {key: raw[key] for key in keys if raw.get(key) is not None}
    merged = {"rope_theta": raw.get("rope_theta", DEFAULT_THETA), **outer, **table}
    if ORIGINAL_CONTEXT in outer:  # the one setting of which the table's own does not count
        merged[ORIGINAL_CONTEXT] = outer[ORIGINAL_CONTEXT]
    rope = Rope(RopeKind(name), theta=1.0, partial=1.0, table=merged)
    return Rope(RopeKind(name), rope.number("rope_theta"), rope.number("partial_rotary_factor", 1.0), merged)


def llama3_factors(rope: Rope, head: int) -> NDArray[np.float32]:
    """head / 2 divisors of the rotary frequencies (transformers `_compute_llama3_parameters`)."""
    original, factor = rope.original_context, rope.number("factor")
    low, high = rope.number("low_freq_factor"), rope.number("high_freq_factor")
    if low >= high:
        raise Refusal("config.json does not add up: low_freq_factor is not below high_freq_factor.")
    # in float32 as there, or a factor on the border between two cases falls to the other side
    exponents = np.arange(0, head, 2, dtype=np.float32) / np.float32(head)
    wavelengths = 2 * math.pi / (1 / (np.float32(rope.theta) ** exponents))
    smooth = (original / wavelengths - low) / (high - low)
    with np.errstate(all="ignore"):  # where it divides by 0, another of the three counts
        between = 1 / ((1 - smooth) / factor + smooth)
    factors = np.where(wavelengths < original / high, 1, np.where(wavelengths > original / low, factor, between))
    return factors.astype(np.float32)


def proportional_factors(rope: Rope, head: int) -> NDArray[np.float32]:
    """head / 2 divisors: those of dimensions that are not turned are so large that nothing is (conversion/gemma.py)."""
    turned = int(head * rope.partial / 2)
    return np.array([1.0] * turned + [1e30] * (head // 2 - turned), np.float32)


def longrope_factors(rope: Rope, key: str, rotary: int) -> NDArray[np.float32]:
    """rotary / 2 divisors: `key` is "short_factor" or "long_factor". Raises Refusal."""
    values = rope.table.get(key)
    if not isinstance(values, list) or len(values) != rotary // 2 or not all(is_within(key, v) for v in values):
        raise Refusal(f"config.json does not add up: {key} is not a list of {rotary // 2} numbers.")
    return np.array(values, np.float32)


def longrope_attention_factor(rope: Rope) -> float:
    """What attention is scaled by (transformers `_compute_longrope_parameters`)."""
    if rope.table.get("attention_factor") is not None:
        return rope.number("attention_factor")
    original = rope.original_context
    stretch = rope.number("factor", rope.number("max_position_embeddings") / original)
    return math.sqrt(1 + math.log(stretch) / math.log(original)) if stretch > 1 else 1.0
