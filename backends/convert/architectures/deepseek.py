"""DeepSeek V2 and V3: keys and values from one small vector (MLA), experts after the first dense layers."""

from collections.abc import Mapping
from dataclasses import replace

from backends.convert.architectures.common import (
    BASE_KEYS,
    EXPERT_KEYS,
    EXPERT_WIDTH_KEY,
    FEED_FORWARD,
    NORMS,
    ROPE_KEYS,
    VOCAB_KEY,
    YARN,
    experts,
    fused_experts,
)
from backends.convert.architectures.table import Architecture, Key, Row
from backends.convert.config import Config, Raw, Size, count, count_or_none, flag
from backends.convert.layout import Layout, Run, Source, turned
from backends.convert.rope import RopeKind
from backends.convert.sentences import quoted

_SOFTMAX, _SIGMOID = 1, 2  # llama.cpp `llama_expert_gating_func_type`
_LITE = (26, 27)  # layers of the models that llama.cpp expects to have no q_lora_rank
_SPARSE, _LOW_RANK = "experts", ", low rank"


def _kinds(raw: Raw) -> list[str]:
    num_layers, num_dense = count(raw, "num_hidden_layers"), count_or_none(raw, "first_k_dense_replace")
    rank = "" if raw.get("q_lora_rank") is None else _LOW_RANK
    return [(_SPARSE if layer >= num_dense else "dense") + rank for layer in range(num_layers)]


def _part_of_heads(config: Config, source: Source, start: int, rows: int, is_turned: bool) -> Layout:
    """`rows` rows of each head's block in kv_b_proj, from `start` on."""
    heads, columns = config.sizes[Size.HEADS], config.sizes[Size.KV_RANK]
    block = (config.sizes[Size.KEY_HEAD] + config.sizes[Size.VALUE_HEAD]) * columns
    move = turned(columns) if is_turned else None
    starts = [head * block + start * columns for head in range(heads)]
    shape = (heads, columns, rows) if is_turned else (heads, rows, columns)
    return Layout(shape, tuple(Run(source, first, rows * columns, move) for first in starts))


def _keys_of_heads(source: Source, config: Config) -> Layout:
    return _part_of_heads(config, source, 0, config.sizes[Size.KEY_HEAD], is_turned=True)


def _values_of_heads(source: Source, config: Config) -> Layout:
    start, rows = config.sizes[Size.KEY_HEAD], config.sizes[Size.VALUE_HEAD]
    return _part_of_heads(config, source, start, rows, is_turned=False)


def _mscale(config: Config) -> float | None:
    return config.rope.optional_number("mscale_all_dim") if config.rope.table.get("mscale_all_dim") else None


def _group_fault(config: Config) -> str | None:
    """llama.cpp ends the process on these."""
    experts, groups = config.sizes[Size.EXPERTS], config.optional_count("n_group") or 1
    if groups == 1:
        return None
    if groups >= experts or experts % groups:
        return f"An n_group of {groups} for {experts} experts"
    used = config.count("topk_group")
    return None if used < groups else f"A topk_group of {used} of {groups} groups"


def _fault(config: Config) -> str | None:
    raw, table = config.raw, config.rope.table
    if raw.get("num_key_value_heads") not in (None, config.sizes[Size.HEADS]):
        return "A num_key_value_heads other than num_attention_heads"
    if (raw.get("q_lora_rank") is None) != (config.num_layers in _LITE):
        return f"A q_lora_rank of {quoted(raw.get('q_lora_rank'))} in a model of {config.num_layers} layers"
    if table.get("mscale") != table.get("mscale_all_dim"):
        return "A rotary scaling 'yarn' with an mscale other than mscale_all_dim"
    if config.rope.kind is RopeKind.YARN and not table.get("mscale_all_dim"):
        return "A rotary scaling 'yarn' without mscale_all_dim"  # llama.cpp would scale attention all the same
    return _group_fault(config)


def _v2_fault(config: Config) -> str | None:
    if config.raw.get("topk_method", "greedy") != "greedy":
        return f"A topk_method of {quoted(config.raw['topk_method'])}"
    if config.raw.get("n_group") not in (None, 1):  # llama.cpp knows no routing that has groups and ignores them
        return f"An n_group of {quoted(config.raw['n_group'])} without group_limited_greedy"
    return _fault(config)


_KV_B = (Size.KV_B, Size.KV_RANK)
_ATTENTION = (
    *NORMS,
    Row("self_attn.kv_a_proj_with_mqa.weight", "attn_kv_a_mqa.weight", (Size.KV_A, Size.HIDDEN)),
    Row("self_attn.kv_a_layernorm.weight", "attn_kv_a_norm.weight", (Size.KV_RANK,)),
    Row("self_attn.kv_b_proj.weight", "attn_k_b.weight", _KV_B, _keys_of_heads),
    Row("self_attn.kv_b_proj.weight", "attn_v_b.weight", _KV_B, _values_of_heads),
    Row("self_attn.o_proj.weight", "attn_output.weight", (Size.HIDDEN, Size.VALUES)),
)
_FULL_QUERY = (Row("self_attn.q_proj.weight", "attn_q.weight", (Size.MLA_QUERY, Size.HIDDEN)),)
_SMALL_QUERY = (
    Row("self_attn.q_a_proj.weight", "attn_q_a.weight", (Size.QUERY_RANK, Size.HIDDEN)),
    Row("self_attn.q_a_layernorm.weight", "attn_q_a_norm.weight", (Size.QUERY_RANK,)),
    Row("self_attn.q_b_proj.weight", "attn_q_b.weight", (Size.MLA_QUERY, Size.QUERY_RANK)),
)
_EXPERTS = (
    Row("mlp.gate.weight", "ffn_gate_inp.weight", (Size.EXPERTS, Size.HIDDEN)),
    *experts("mlp.experts", "gate_proj", "up_proj", "down_proj", Size.EXPERT_WIDTH),
    *fused_experts("mlp.experts", Size.EXPERT_WIDTH, Size.EXPERT_GATE_UP),
    Row("mlp.shared_experts.gate_proj.weight", "ffn_gate_shexp.weight", (Size.SHARED_WIDTH, Size.HIDDEN)),
    Row("mlp.shared_experts.up_proj.weight", "ffn_up_shexp.weight", (Size.SHARED_WIDTH, Size.HIDDEN)),
    Row("mlp.shared_experts.down_proj.weight", "ffn_down_shexp.weight", (Size.HIDDEN, Size.SHARED_WIDTH)),
)
_BIAS = (Row("mlp.gate.e_score_correction_bias", "exp_probs_b.bias", (Size.EXPERTS,)),)


def _layers(sparse: tuple[Row, ...]) -> dict[str, tuple[Row, ...]]:
    return {
        "dense": (*_FULL_QUERY, *FEED_FORWARD),
        _SPARSE: (*_FULL_QUERY, *sparse),
        "dense" + _LOW_RANK: (*_SMALL_QUERY, *FEED_FORWARD),
        _SPARSE + _LOW_RANK: (*_SMALL_QUERY, *sparse),
    }


def _derived(_raw: Raw, sizes: Mapping[Size, int]) -> dict[Size, int]:
    heads, key, value = sizes[Size.HEADS], sizes[Size.KEY_HEAD], sizes[Size.VALUE_HEAD]
    return {
        Size.KV_A: sizes[Size.KV_RANK] + sizes[Size.ROTARY],
        Size.KV_B: heads * (key + value),
        Size.VALUES: heads * value,
        Size.MLA_QUERY: heads * (key + sizes[Size.ROTARY]),
        Size.SHARED_WIDTH: sizes[Size.SHARED_EXPERTS] * sizes[Size.EXPERT_WIDTH],
    }


_KEYS = (
    *BASE_KEYS,
    *ROPE_KEYS,
    *EXPERT_KEYS,
    EXPERT_WIDTH_KEY,
    VOCAB_KEY,
    Key("attention.head_count_kv", lambda _: 1),  # llama.cpp sees one wide head of keys
    Key("leading_dense_block_count", lambda c: count_or_none(c.raw, "first_k_dense_replace")),
    Key("attention.q_lora_rank", lambda c: c.sizes.get(Size.QUERY_RANK)),
    Key("attention.kv_lora_rank", lambda c: c.sizes[Size.KV_RANK]),
    Key("attention.key_length", lambda c: c.sizes[Size.KV_A]),
    Key("attention.value_length", lambda c: c.sizes[Size.KV_RANK]),
    Key("attention.key_length_mla", lambda c: c.sizes[Size.KEY_HEAD] + c.sizes[Size.ROTARY]),
    Key("attention.value_length_mla", lambda c: c.sizes[Size.VALUE_HEAD]),
    Key("expert_shared_count", lambda c: c.sizes[Size.SHARED_EXPERTS]),
    Key("expert_weights_scale", lambda c: c.number("routed_scaling_factor")),
    Key("expert_group_count", lambda c: c.optional_count("n_group")),
    Key("expert_group_used_count", lambda c: c.optional_count("topk_group")),
    Key("rope.dimension_count", lambda c: c.sizes[Size.ROTARY]),
    Key("rope.scaling.yarn_log_multiplier", lambda c: 0.1 * m if (m := _mscale(c)) else None),
)
_V2 = Architecture(
    "deepseek2",
    _ATTENTION,
    layers_of=_layers(_EXPERTS),
    keys=(*_KEYS, Key("expert_gating_func", lambda _: _SOFTMAX)),
    ropes=YARN,
    fixed={"norm_topk_prob": (False,), "scoring_func": ("softmax",), "moe_layer_freq": (1,)},
    defaults={"routed_scaling_factor": 1.0},
    sizes={
        Size.EXPERTS: ("n_routed_experts",),
        Size.EXPERT_WIDTH: ("moe_intermediate_size",),
        Size.SHARED_EXPERTS: ("n_shared_experts",),
        Size.KV_RANK: ("kv_lora_rank",),
        Size.KEY_HEAD: ("qk_nope_head_dim",),
        Size.VALUE_HEAD: ("v_head_dim",),
        Size.ROTARY: ("qk_rope_head_dim",),
    },
    optional_sizes={Size.QUERY_RANK: "q_lora_rank"},
    derived=_derived,
    kinds=_kinds,
    has_mscale=True,
    check=_v2_fault,
)
ARCHITECTURES = {
    "DeepseekV2ForCausalLM": _V2,
    "DeepseekV3ForCausalLM": replace(
        _V2,
        layers_of=_layers((*_EXPERTS, *_BIAS)),
        keys=(
            *_KEYS,
            Key("expert_gating_func", lambda _: _SIGMOID),
            Key("expert_weights_norm", lambda c: flag(c.raw, "norm_topk_prob") or None),
        ),
        fixed={
            "scoring_func": ("sigmoid",),
            "topk_method": ("noaux_tc",),
            "rope_interleave": (True,),
            "moe_layer_freq": (1,),
        },
        defaults={"routed_scaling_factor": 2.5, "norm_topk_prob": True, "n_group": 8, "topk_group": 4},
        check=_fault,
        has_later_layers=True,
    ),
}
