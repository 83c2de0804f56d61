"""The text part of Gemma 4: two sizes of heads, layers that share keys, embeddings per layer, experts."""

from collections.abc import Mapping
from dataclasses import replace

from backends.child import Refusal
from backends.convert.architectures.common import BASE_KEYS, FEED_FORWARD, FOUR_NORMS, WINDOW_KEY, window_pattern
from backends.convert.architectures.table import EMBEDDING, OUTPUT_NORM, Architecture, Key, Row, Window
from backends.convert.config import Config, Raw, Size, count, count_or_none
from backends.convert.layout import as_it_is
from backends.convert.rope import FULL, LOCAL, RopeKind

_SHARED, _BARE = ", shares keys", ", keys are values"


def _shared_layers(raw: Raw) -> int:
    """The last layers, which take the keys and values of an earlier one."""
    return count_or_none(raw, "num_kv_shared_layers")


def _kinds(raw: Raw) -> list[str]:
    kinds = raw.get("layer_types")
    num_layers = count(raw, "num_hidden_layers")
    if not isinstance(kinds, list) or len(kinds) != num_layers:
        raise Refusal("config.json names no layer_types for every layer.")
    first_shared = num_layers - _shared_layers(raw)
    is_bare = bool(raw.get("attention_k_eq_v"))
    return [
        f"{kind}{_SHARED if layer >= first_shared else _BARE if is_bare and kind == FULL else ''}"
        for layer, kind in enumerate(kinds)
    ]


def _layer_settings(raw: Raw) -> Mapping[str, Raw]:
    """By the layer's number, as a text."""
    tables = raw.get("per_layer_config") or {}
    if not isinstance(tables, Mapping) or not all(isinstance(table, Mapping) for table in tables.values()):
        raise Refusal("config.json holds no valid per_layer_config.")
    return tables


def _full(raw: Raw, key: str, older: str, default: int) -> int:
    """A setting of the layers without a window: by layer in newer files, by a name of its own in older ones."""
    if raw.get(older) is not None:
        return count(raw, older)
    per_layer = _layer_settings(raw)
    if not per_layer:
        return default
    full = {str(layer) for layer, kind in enumerate(_kinds(raw)) if kind.startswith(FULL)}
    found = {count(table, key, default) for layer, table in per_layer.items() if layer in full}
    others = [table for layer, table in per_layer.items() if layer not in full]
    if len(found) != 1 or full - per_layer.keys() or any(key in table for table in others):
        raise Refusal(f"config.json gives layers of one kind a different {key}; that is not supported.")
    return found.pop()


def _more_sizes(raw: Raw, sizes: Mapping[Size, int]) -> dict[Size, int]:
    head = _full(raw, "head_dim", "global_head_dim", sizes[Size.HEAD])
    kv_heads = _full(raw, "num_key_value_heads", "num_global_key_value_heads", sizes[Size.KV_HEADS])
    per_layer = count_or_none(raw, "hidden_size_per_layer_input")
    is_wide = bool(raw.get("use_double_wide_mlp"))
    return {
        Size.FULL_HEAD: head,
        Size.FULL_KV_HEADS: kv_heads,
        Size.FULL_QUERY: sizes[Size.HEADS] * head,
        Size.FULL_KV: kv_heads * head,
        Size.PER_LAYER: per_layer,
        Size.PER_LAYER_ALL: per_layer * count(raw, "num_hidden_layers"),
        Size.SHARED_WIDTH: sizes[Size.FEED_FORWARD] * (2 if is_wide else 1),
    }


def _attention(head: Size, query: Size, kv: Size, has_keys: bool, has_values: bool) -> tuple[Row, ...]:
    rows = (
        Row("self_attn.q_proj.weight", "attn_q.weight", (query, Size.HIDDEN)),
        Row("self_attn.o_proj.weight", "attn_output.weight", (Size.HIDDEN, query)),
        Row("self_attn.q_norm.weight", "attn_q_norm.weight", (head,)),
    )
    keys = (
        Row("self_attn.k_proj.weight", "attn_k.weight", (kv, Size.HIDDEN)),
        Row("self_attn.k_norm.weight", "attn_k_norm.weight", (head,)),
    )
    values = (Row("self_attn.v_proj.weight", "attn_v.weight", (kv, Size.HIDDEN)),)
    return (*rows, *(keys if has_keys else ()), *(values if has_values else ()))


_LOCAL_SIZES = (Size.HEAD, Size.QUERY, Size.KV)
_FULL_SIZES = (Size.FULL_HEAD, Size.FULL_QUERY, Size.FULL_KV)
_WIDE = (
    Row("mlp.gate_proj.weight", "ffn_gate.weight", (Size.SHARED_WIDTH, Size.HIDDEN)),
    Row("mlp.up_proj.weight", "ffn_up.weight", (Size.SHARED_WIDTH, Size.HIDDEN)),
    Row("mlp.down_proj.weight", "ffn_down.weight", (Size.HIDDEN, Size.SHARED_WIDTH)),
)
_LAYERS_OF = {
    LOCAL: (*_attention(*_LOCAL_SIZES, True, True), *FEED_FORWARD),
    FULL: (*_attention(*_FULL_SIZES, True, True), *FEED_FORWARD),
    FULL + _BARE: (*_attention(*_FULL_SIZES, True, False), *FEED_FORWARD),
    LOCAL + _SHARED: (*_attention(*_LOCAL_SIZES, False, False), *_WIDE),
    FULL + _SHARED: (*_attention(*_FULL_SIZES, False, False), *_WIDE),
}
_EXPERTS = (
    Row("router.proj.weight", "ffn_gate_inp.weight", (Size.EXPERTS, Size.HIDDEN)),
    Row("router.scale", "ffn_gate_inp.scale", (Size.HIDDEN,)),
    Row("router.per_expert_scale", "ffn_down_exps.scale", (Size.EXPERTS,)),
    Row("pre_feedforward_layernorm_2.weight", "pre_ffw_norm_2.weight", (Size.HIDDEN,)),
    Row("post_feedforward_layernorm_1.weight", "post_ffw_norm_1.weight", (Size.HIDDEN,)),
    Row("post_feedforward_layernorm_2.weight", "post_ffw_norm_2.weight", (Size.HIDDEN,)),
    Row(
        "experts.gate_up_proj",
        "ffn_gate_up_exps.weight",
        (Size.EXPERTS, Size.EXPERT_GATE_UP, Size.HIDDEN),
    ),
    Row("experts.down_proj", "ffn_down_exps.weight", (Size.EXPERTS, Size.HIDDEN, Size.EXPERT_WIDTH)),
)
_PER_LAYER = (
    Row("per_layer_input_gate.weight", "inp_gate.weight", (Size.PER_LAYER, Size.HIDDEN)),
    Row("per_layer_projection.weight", "proj.weight", (Size.HIDDEN, Size.PER_LAYER)),
    Row("post_per_layer_input_norm.weight", "post_norm.weight", (Size.HIDDEN,)),
)
_OUTER_PER_LAYER = (
    Row("model.embed_tokens_per_layer.weight", "per_layer_token_embd.weight", (Size.VOCAB, Size.PER_LAYER_ALL)),
    Row("model.per_layer_model_projection.weight", "per_layer_model_proj.weight", (Size.PER_LAYER_ALL, Size.HIDDEN)),
    Row("model.per_layer_projection_norm.weight", "per_layer_proj_norm.weight", (Size.PER_LAYER,)),
)


def _kv_heads(config: Config) -> int | list[int]:
    local, full = config.sizes[Size.KV_HEADS], config.sizes[Size.FULL_KV_HEADS]
    return local if local == full else [local if has_window else full for has_window in window_pattern(config)]


def _widths(config: Config) -> int | list[int]:
    narrow, wide = config.sizes[Size.FEED_FORWARD], config.sizes[Size.SHARED_WIDTH]
    return narrow if narrow == wide else [wide if kind.endswith(_SHARED) else narrow for kind in config.layer_types]


def _fault(config: Config) -> str | None:
    tables = _layer_settings(config.raw).values()
    if more := {key for table in tables for key in table} - {"head_dim", "num_key_value_heads"}:
        return f"A per_layer_config with {min(more):.60}"
    if config.raw.get("enable_moe_block") and not {Size.EXPERTS, Size.EXPERT_WIDTH} <= config.sizes.keys():
        return "A mixture of experts of no given size"
    if config.local_rope is None or config.local_rope.kind is not RopeKind.PLAIN:
        return "Rotary settings without those of the layers with a window"
    if not any(window_pattern(config)):  # llama.cpp would stop the process
        return "A model without a layer that has a window"
    pattern = window_pattern(config)[: config.num_layers - _shared_layers(config.raw)]
    if _shared_layers(config.raw) and pattern[-2:] != [True, False]:  # those whose keys llama.cpp hands on
        return "An order of layers in which others than the last two hand on their keys"
    if config.layer_types[-1].startswith(LOCAL):  # transformers makes it one without, whatever the file says
        return "A last layer that has a window"
    if config.rope.table.get("factor") not in (None, 1):
        return "A rotary scaling 'proportional' with a factor"
    if config.sizes[Size.PER_LAYER] and config.count("vocab_size_per_layer_input") != config.sizes[Size.VOCAB]:
        return "A vocab_size_per_layer_input other than vocab_size"
    return None


_GEMMA4 = Architecture(
    "gemma4",
    (
        *(replace(row, transform=as_it_is) for row in FOUR_NORMS),
        Row("layer_scalar", "layer_output_scale.weight", (Size.ONE,)),
    ),
    layers_of=_LAYERS_OF,
    layer_if={"enable_moe_block": _EXPERTS, "hidden_size_per_layer_input": _PER_LAYER},
    outer=(EMBEDDING, OUTPUT_NORM),
    outer_if={"hidden_size_per_layer_input": _OUTER_PER_LAYER},
    keys=(
        *BASE_KEYS,
        WINDOW_KEY,
        Key("attention.head_count_kv", _kv_heads),
        Key("feed_forward_length", _widths),
        Key("attention.sliding_window_pattern", window_pattern),
        Key("attention.shared_kv_layers", lambda c: _shared_layers(c.raw)),
        Key("embedding_length_per_layer_input", lambda c: c.sizes[Size.PER_LAYER]),
        Key("attention.key_length", lambda c: c.sizes[Size.FULL_HEAD]),
        Key("attention.value_length", lambda c: c.sizes[Size.FULL_HEAD]),
        Key("attention.key_length_swa", lambda c: c.sizes[Size.HEAD]),
        Key("attention.value_length_swa", lambda c: c.sizes[Size.HEAD]),
        Key("rope.freq_base", lambda c: c.rope.theta),
        Key("rope.freq_base_swa", lambda c: c.local_rope.theta if c.local_rope else None),
        Key("rope.dimension_count", lambda c: c.sizes[Size.FULL_HEAD]),
        Key("rope.dimension_count_swa", lambda c: c.sizes[Size.HEAD]),
        # without the key llama.cpp takes 30
        Key("final_logit_softcapping", lambda c: c.optional_number("final_logit_softcapping") or 0.0),
        Key("expert_count", lambda c: c.sizes.get(Size.EXPERTS)),
        Key("expert_used_count", lambda c: c.optional_count("top_k_experts")),
        Key("expert_feed_forward_length", lambda c: c.sizes.get(Size.EXPERT_WIDTH)),
    ),
    ropes=frozenset({RopeKind.PROPORTIONAL}),
    activation="gelu_pytorch_tanh",
    fixed={"use_bidirectional_attention": (False, "vision"), "tie_word_embeddings": (True,)},
    defaults={"tie_word_embeddings": True, "sliding_window": 512, "hidden_activation": "gelu_pytorch_tanh"},
    optional_sizes={Size.EXPERTS: "num_experts", Size.EXPERT_WIDTH: "moe_intermediate_size"},
    derived=_more_sizes,
    kinds=_kinds,
    window=Window.NATIVE,
    has_local_rope=True,
    has_partial_rotary=True,
    has_layer_settings=True,
    check=_fault,
)
ARCHITECTURES = {
    "Gemma4ForCausalLM": _GEMMA4,
    "Gemma4ForConditionalGeneration": replace(
        _GEMMA4,
        ignored=("model.vision_tower.", "model.audio_tower.", "model.embed_vision.", "model.embed_audio."),
        renamed={"model.language_model.": "model."},
    ),
}
