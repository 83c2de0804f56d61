"""Reads config.json into sizes and rotary settings. Refuses what would change the result silently."""

import math
from dataclasses import dataclass
from enum import Enum, StrEnum
from pathlib import Path
from typing import Any

from backends.child import Refusal
from backends.convert.files import read_json

MAX_SIZE = 1 << 31
DEFAULT_ROPE_THETA = 10_000.0  # of transformers' configuration classes, for files older than the key


class Size(Enum):
    """The dimensions that a tensor's shape is made of."""

    VOCAB = "vocab"
    HIDDEN = "hidden"
    FEED_FORWARD = "feed_forward"
    HEADS = "heads"
    KV_HEADS = "kv_heads"
    HEAD = "head"
    QUERY = "query"  # heads x head
    KV = "kv"  # kv_heads x head


class RopeKind(StrEnum):
    PLAIN = "default"
    LINEAR = "linear"
    LLAMA3 = "llama3"


@dataclass(frozen=True, slots=True)
class Rope:
    """The rotary embedding. The last three belong to llama3."""

    kind: RopeKind
    theta: float
    factor: float = 1.0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_context: int = 8192


@dataclass(frozen=True, slots=True)
class Config:
    architecture: str
    sizes: dict[Size, int]
    num_layers: int
    context: int
    norm_epsilon: float
    rope: Rope
    is_tied: bool  # the output matrix is the embedding
    has_head_dim: bool  # named in the file, so named in the GGUF too
    sliding_window: int | None
    raw: dict[str, Any]


def read_config(folder: Path) -> Config:
    """Raises Refusal with one sentence that names the setting."""
    raw = read_json(folder / "config.json")
    names = raw.get("architectures")
    if not isinstance(names, list) or len(names) != 1 or not isinstance(names[0], str):
        raise Refusal("config.json does not name one architecture, so the checkpoint cannot be converted.")
    if raw.get("quantization_config"):
        raise Refusal("This checkpoint is already quantized (quantization_config). Choose the original one.")
    _refuse_other_arithmetic(raw)
    sizes = _sizes(raw)
    return Config(
        architecture=names[0],
        sizes=sizes,
        num_layers=_count(raw, "num_hidden_layers"),
        context=_count(raw, "max_position_embeddings"),
        norm_epsilon=_number(raw, "rms_norm_eps"),
        rope=_rope(raw),
        is_tied=bool(raw.get("tie_word_embeddings", False)),
        has_head_dim=raw.get("head_dim") is not None,
        sliding_window=None if raw.get("sliding_window") is None else _count(raw, "sliding_window"),
        raw=raw,
    )


def _refuse_other_arithmetic(raw: dict[str, Any]) -> None:
    """The graphs of llama.cpp fix these; another value would run, and answer wrongly."""
    if (activation := raw.get("hidden_act", "silu")) != "silu":
        raise Refusal(f"The activation {activation!r} is not supported for {raw['architectures'][0]}.")
    if (partial := raw.get("partial_rotary_factor", 1)) not in (None, 1):
        raise Refusal(f"A partial_rotary_factor of {partial} is not supported for {raw['architectures'][0]}.")
    kinds = raw.get("layer_types") or []
    other = next((kind for kind in kinds if kind != "full_attention"), None)
    if other is not None:
        raise Refusal(f"Layers of the type {other!r} are not supported for {raw['architectures'][0]}.")


def _sizes(raw: dict[str, Any]) -> dict[Size, int]:
    hidden, heads = _count(raw, "hidden_size"), _count(raw, "num_attention_heads")
    kv_heads = _count(raw, "num_key_value_heads", heads)
    head = _count(raw, "head_dim", hidden // heads or None)
    if raw.get("head_dim") is None and hidden % heads:
        raise Refusal(f"config.json does not add up: {hidden} dimensions for {heads} attention heads.")
    if heads % kv_heads or head % 2:
        raise Refusal(f"config.json does not add up: {heads} heads of {head}, {kv_heads} of them for keys.")
    return {
        Size.VOCAB: _count(raw, "vocab_size"),
        Size.HIDDEN: hidden,
        Size.FEED_FORWARD: _count(raw, "intermediate_size"),
        Size.HEADS: heads,
        Size.KV_HEADS: kv_heads,
        Size.HEAD: head,
        Size.QUERY: heads * head,
        Size.KV: kv_heads * head,
    }


def _rope(raw: dict[str, Any]) -> Rope:
    """transformers 5 writes rope_parameters; 4 wrote rope_scaling beside rope_theta."""
    table = raw.get("rope_parameters") or raw.get("rope_scaling") or {}
    if not isinstance(table, dict) or any(isinstance(value, dict) for value in table.values()):
        raise Refusal("Rotary settings that differ between layers are not supported.")
    name = table.get("rope_type", table.get("type")) or "default"
    if name not in list(RopeKind):
        raise Refusal(f"The rotary scaling {name!r} is not supported.")
    kind = RopeKind(name)
    theta = _number({"rope_theta": DEFAULT_ROPE_THETA, **raw, **table}, "rope_theta")
    if kind is RopeKind.PLAIN:
        return Rope(kind, theta)
    if kind is RopeKind.LINEAR:
        return Rope(kind, theta, _number(table, "factor"))
    rope = Rope(
        kind,
        theta,
        _number(table, "factor"),
        _number(table, "low_freq_factor"),
        _number(table, "high_freq_factor"),
        _count(table, "original_max_position_embeddings"),
    )
    if rope.low_freq_factor >= rope.high_freq_factor:
        raise Refusal("config.json does not add up: low_freq_factor is not below high_freq_factor.")
    return rope


def _count(table: dict[str, Any], key: str, default: int | None = None) -> int:
    value = table.get(key)
    value = default if value is None else value
    if type(value) is not int or not 0 < value < MAX_SIZE:
        raise Refusal(f"config.json holds no valid {key}.")
    return value


def _number(table: dict[str, Any], key: str) -> float:
    value = table.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
        raise Refusal(f"config.json holds no valid {key}.")
    return float(value)
