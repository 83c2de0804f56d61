"""What config.json says, as sizes and settings. Knows no architecture by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from backends.child import Refusal
from backends.convert.bounds import is_within, most
from backends.convert.rope import Rope

Raw = dict[str, Any]


class Size(Enum):
    """The dimensions that a tensor's shape is made of."""

    ONE = "one"
    VOCAB = "vocab"
    HIDDEN = "hidden"
    FEED_FORWARD = "feed_forward"
    HEADS = "heads"
    KV_HEADS = "kv_heads"
    HEAD = "head"
    QUERY = "query"  # heads x head
    KV = "kv"  # kv_heads x head
    QKV = "qkv"  # queries, keys and values in one matrix
    GATE_UP = "gate_up"  # 2 x feed_forward in one matrix
    HIDDEN_X3 = "hidden_x3"
    EXPERTS = "experts"
    EXPERT_WIDTH = "expert_width"
    EXPERT_GATE_UP = "expert_gate_up"  # 2 x expert_width in one matrix
    SHARED_WIDTH = "shared_width"  # of the expert that every token goes through
    GATED_QUERY = "gated_query"  # each head's query and its gate
    LINEAR_KEY_HEADS = "linear_key_heads"
    LINEAR_HEADS = "linear_heads"  # of the values
    LINEAR_HEAD = "linear_head"
    LINEAR_VALUES = "linear_values"  # linear_heads x linear_head
    LINEAR_QKV = "linear_qkv"
    LINEAR_QKVZ = "linear_qkvz"
    LINEAR_BA = "linear_ba"
    SHARED_EXPERTS = "shared_experts"
    KV_RANK = "kv_rank"  # MLA: keys and values of all heads come from so many numbers
    QUERY_RANK = "query_rank"
    KEY_HEAD = "key_head"  # without what is turned
    VALUE_HEAD = "value_head"
    ROTARY = "rotary"
    KV_A = "kv_a"  # kv_rank + rotary
    KV_B = "kv_b"  # heads x (key_head + value_head)
    VALUES = "values"
    MLA_QUERY = "mla_query"
    FULL_HEAD = "full_head"  # of the layers without a window, where these are others
    FULL_KV_HEADS = "full_kv_heads"
    FULL_QUERY = "full_query"
    FULL_KV = "full_kv"
    PER_LAYER = "per_layer"  # numbers that each token adds to each layer
    PER_LAYER_ALL = "per_layer_all"
    CONVOLUTION = "convolution"  # taps of a short convolution
    POSITIONS = "positions"  # each with a vector of its own
    TOKEN_TYPES = "token_types"  # of the first and of the second text of a pair


@dataclass(frozen=True, slots=True)
class Config:
    """`raw` holds every key, those of a nested text_config and the architecture's defaults included."""

    architecture: str
    sizes: Mapping[Size, int]
    num_layers: int
    context: int
    norm_epsilon: float
    rope: Rope
    local_rope: Rope | None  # of the layers with a sliding window, where these have their own
    is_tied: bool | None  # the output matrix is the embedding; None: the file does not say
    has_head_dim: bool  # named in the file, so named in the GGUF too
    sliding_window: int | None
    layer_types: tuple[str, ...]  # one per layer, or none when all are alike
    raw: Raw

    def count(self, key: str) -> int:
        return count(self.raw, key)

    def number(self, key: str) -> float:
        return number(self.raw, key)

    def optional_number(self, key: str) -> float | None:
        return None if self.raw.get(key) is None else self.number(key)

    def optional_count(self, key: str) -> int | None:
        return None if self.raw.get(key) is None else self.count(key)

    @property
    def rotary(self) -> int:
        """How many numbers of a head are turned."""
        return self.sizes.get(Size.ROTARY) or int(self.sizes[Size.HEAD] * self.rope.partial)

    def kind(self, layer: int) -> str:
        return self.layer_types[layer] if self.layer_types else "full_attention"


def base_sizes(raw: Raw, feed_forward: int) -> dict[Size, int]:
    """The sizes that nearly every architecture has. Raises Refusal when they do not add up."""
    hidden, heads = count(raw, "hidden_size"), count(raw, "num_attention_heads")
    kv_heads = count(raw, "num_key_value_heads", heads)
    head = count(raw, "head_dim", hidden // heads or None)
    if raw.get("head_dim") is None and hidden % heads:
        raise Refusal(f"config.json does not add up: {hidden} dimensions for {heads} attention heads.")
    if heads % kv_heads or head % 2:
        raise Refusal(f"config.json does not add up: {heads} heads of {head}, {kv_heads} of them for keys.")
    return {
        Size.ONE: 1,
        Size.VOCAB: count(raw, "vocab_size"),
        Size.HIDDEN: hidden,
        Size.HIDDEN_X3: 3 * hidden,
        Size.FEED_FORWARD: feed_forward,
        Size.GATE_UP: 2 * feed_forward,
        Size.HEADS: heads,
        Size.KV_HEADS: kv_heads,
        Size.HEAD: head,
        Size.QUERY: heads * head,
        Size.KV: kv_heads * head,
        Size.QKV: (heads + 2 * kv_heads) * head,
    }


def count(table: Mapping[str, Any], key: str, default: int | None = None) -> int:
    """A whole number above 0, and within its bounds. Raises Refusal."""
    value = table.get(key)
    value = default if value is None else value
    if type(value) is not int or not 0 < value <= most(key):
        raise Refusal(f"config.json holds no valid {key}.")
    return value


def count_or_none(table: Mapping[str, Any], key: str) -> int:
    """The same, where 0 or nothing at all says that there is none: 0. Raises Refusal."""
    return 0 if table.get(key) in (None, 0) else count(table, key)


def number(table: Mapping[str, Any], key: str) -> float:
    """A number above 0, and within its bounds. Raises Refusal."""
    value = table.get(key)
    if not is_within(key, value):
        raise Refusal(f"config.json holds no valid {key}.")
    return float(value)  # type: ignore[arg-type]


def flag(table: Mapping[str, Any], key: str, default: bool = False) -> bool:
    """Yes or no. Raises Refusal."""
    value = table.get(key)
    if value is not None and not isinstance(value, bool):
        raise Refusal(f"config.json holds no valid {key}.")
    return default if value is None else value
