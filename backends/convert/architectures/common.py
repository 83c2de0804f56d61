"""Rows and keys that several architectures share."""

from backends.convert.architectures.table import Key, Row
from backends.convert.config import Config, Size
from backends.convert.layout import Transform, as_it_is, half_of_rows, plus_one
from backends.convert.rope import LOCAL, RopeKind

PLAIN = frozenset({RopeKind.PLAIN, RopeKind.LINEAR})
YARN = PLAIN | {RopeKind.YARN}
LLAMA_ROPES = YARN | {RopeKind.LLAMA3}  # llama.cpp reads rope_freqs.weight in these graphs only

STRETCHED = (RopeKind.LINEAR, RopeKind.YARN)

ROPE_KEYS = (
    Key("rope.freq_base", lambda c: c.rope.theta),
    Key("rope.freq_base_swa", lambda c: c.local_rope.theta if c.local_rope else None),
    Key("rope.scaling.type", lambda c: str(c.rope.kind) if c.rope.kind in STRETCHED else None),
    Key("rope.scaling.factor", lambda c: c.rope.number("factor") if c.rope.kind in STRETCHED else None),
    Key(
        "rope.scaling.original_context_length",
        lambda c: c.rope.original_context if c.rope.kind is RopeKind.YARN else None,
    ),
    Key("rope.scaling.yarn_beta_fast", lambda c: c.rope.optional_number("beta_fast")),
    Key("rope.scaling.yarn_beta_slow", lambda c: c.rope.optional_number("beta_slow")),
)
NAMED_HEAD_KEYS = (
    Key("attention.key_length", lambda c: c.sizes[Size.HEAD] if c.has_head_dim else None),
    Key("attention.value_length", lambda c: c.sizes[Size.HEAD] if c.has_head_dim else None),
)
HEAD_KEYS = tuple(Key(f"attention.{name}_length", lambda c: c.sizes[Size.HEAD]) for name in ("key", "value"))
BASE_KEYS = (
    Key("block_count", lambda c: c.num_layers),
    Key("context_length", lambda c: c.context),
    Key("embedding_length", lambda c: c.sizes[Size.HIDDEN]),
    Key("feed_forward_length", lambda c: c.sizes[Size.FEED_FORWARD]),
    Key("attention.head_count", lambda c: c.sizes[Size.HEADS]),
    Key("attention.head_count_kv", lambda c: c.sizes[Size.KV_HEADS]),
    Key("attention.layer_norm_rms_epsilon", lambda c: c.norm_epsilon),
)
KEYS = (*BASE_KEYS, *NAMED_HEAD_KEYS, *ROPE_KEYS)
VOCAB_KEY = Key("vocab_size", lambda c: c.sizes[Size.VOCAB])
WINDOW_KEY = Key("attention.sliding_window", lambda c: c.sliding_window)
EXPERT_KEYS = (
    Key("expert_count", lambda c: c.sizes[Size.EXPERTS]),
    Key("expert_used_count", lambda c: c.count("num_experts_per_tok")),
)
EXPERT_WIDTH_KEY = Key("expert_feed_forward_length", lambda c: c.sizes[Size.EXPERT_WIDTH])

FEED_FORWARD = (
    Row("mlp.gate_proj.weight", "ffn_gate.weight", (Size.FEED_FORWARD, Size.HIDDEN)),
    Row("mlp.up_proj.weight", "ffn_up.weight", (Size.FEED_FORWARD, Size.HIDDEN)),
    Row("mlp.down_proj.weight", "ffn_down.weight", (Size.HIDDEN, Size.FEED_FORWARD)),
)
NORMS = (
    Row("input_layernorm.weight", "attn_norm.weight", (Size.HIDDEN,)),
    Row("post_attention_layernorm.weight", "ffn_norm.weight", (Size.HIDDEN,)),
)
FOUR_NORMS = (  # Gemma's: before and after each half of a layer
    Row("input_layernorm.weight", "attn_norm.weight", (Size.HIDDEN,), plus_one),
    Row("post_attention_layernorm.weight", "post_attention_norm.weight", (Size.HIDDEN,), plus_one),
    Row("pre_feedforward_layernorm.weight", "ffn_norm.weight", (Size.HIDDEN,), plus_one),
    Row("post_feedforward_layernorm.weight", "post_ffw_norm.weight", (Size.HIDDEN,), plus_one),
)


def attention(query: Transform = as_it_is, key: Transform = as_it_is) -> tuple[Row, ...]:
    return (
        Row("self_attn.q_proj.weight", "attn_q.weight", (Size.QUERY, Size.HIDDEN), query),
        Row("self_attn.k_proj.weight", "attn_k.weight", (Size.KV, Size.HIDDEN), key),
        Row("self_attn.v_proj.weight", "attn_v.weight", (Size.KV, Size.HIDDEN)),
        Row("self_attn.o_proj.weight", "attn_output.weight", (Size.HIDDEN, Size.QUERY)),
    )


def qkv_biases(query: Transform = as_it_is, key: Transform = as_it_is, is_required: bool = False) -> tuple[Row, ...]:
    return (
        Row("self_attn.q_proj.bias", "attn_q.bias", (Size.QUERY,), query, is_required),
        Row("self_attn.k_proj.bias", "attn_k.bias", (Size.KV,), key, is_required),
        Row("self_attn.v_proj.bias", "attn_v.bias", (Size.KV,), is_required=is_required),
    )


def head_norms(transform: Transform = as_it_is) -> tuple[Row, ...]:
    return (
        Row("self_attn.q_norm.weight", "attn_q_norm.weight", (Size.HEAD,), transform),
        Row("self_attn.k_norm.weight", "attn_k_norm.weight", (Size.HEAD,), transform),
    )


def experts(prefix: str, gate: str, up: str, down: str, width: Size) -> tuple[Row, ...]:
    """One matrix per expert, as transformers 4 and every save_pretrained write them."""
    return (
        Row(f"{prefix}.*.{gate}.weight", "ffn_gate_exps.weight", (width, Size.HIDDEN)),
        Row(f"{prefix}.*.{up}.weight", "ffn_up_exps.weight", (width, Size.HIDDEN)),
        Row(f"{prefix}.*.{down}.weight", "ffn_down_exps.weight", (Size.HIDDEN, width)),
    )


def fused_experts(prefix: str, width: Size, gate_up: Size) -> tuple[Row, ...]:
    """All experts in one tensor, gate and up as well, as transformers 5 holds them in memory."""
    return (
        Row(
            f"{prefix}.gate_up_proj",
            "ffn_gate_exps.weight",
            (Size.EXPERTS, gate_up, Size.HIDDEN),
            half_of_rows(0),
        ),
        Row(
            f"{prefix}.gate_up_proj",
            "ffn_up_exps.weight",
            (Size.EXPERTS, gate_up, Size.HIDDEN),
            half_of_rows(1),
        ),
        Row(f"{prefix}.down_proj", "ffn_down_exps.weight", (Size.EXPERTS, Size.HIDDEN, width)),
    )


def window_pattern(config: Config) -> list[bool]:
    return [kind.startswith(LOCAL) for kind in config.layer_types]


def pattern_key(usual: int) -> Key:
    """Written only where the layers with a window are not those that llama.cpp expects: all but every `usual`."""

    def value(config: Config) -> list[bool] | None:
        pattern = window_pattern(config)
        wanted = [(layer + 1) % usual != 0 for layer in range(config.num_layers)]
        return None if not pattern or pattern == wanted else pattern

    return Key("attention.sliding_window_pattern", value)
