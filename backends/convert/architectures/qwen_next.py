"""Qwen3-Next and the text part of Qwen3.5: three layers of linear attention to one of gated attention."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.child import Refusal
from backends.convert.architectures.common import (
    EXPERT_KEYS,
    EXPERT_WIDTH_KEY,
    FEED_FORWARD,
    HEAD_KEYS,
    KEYS,
    PLAIN,
    experts,
    fused_experts,
    head_norms,
)
from backends.convert.architectures.table import EMBEDDING, Architecture, Key, Row
from backends.convert.config import Config, Raw, Size, count
from backends.convert.layout import computed, negative_exp, plus_one, reordered, squeezed
from backends.convert.rope import FULL

_LINEAR = "linear_attention"
_MROPE = [11, 11, 10, 0]  # of Qwen3.5, which text does not tell from a plain rope
Order = NDArray[np.int64]


def _tiled(config: Config, width: int) -> Order:
    """llama.cpp repeats the key heads in turn, transformers each one in a row: so the value heads change places."""
    keys, values = config.sizes[Size.LINEAR_KEY_HEADS], config.sizes[Size.LINEAR_HEADS]
    return np.arange(values * width).reshape(keys, values // keys, width).swapaxes(0, 1).ravel()


def _tiled_heads(config: Config) -> Order:
    return _tiled(config, 1)


def _tiled_values(config: Config) -> Order:
    return _tiled(config, config.sizes[Size.LINEAR_HEAD])


def _tiled_qkv(config: Config) -> Order:
    start = 2 * config.sizes[Size.LINEAR_KEY_HEADS] * config.sizes[Size.LINEAR_HEAD]
    return np.concatenate([np.arange(start), start + _tiled_values(config)])


def _grouped(config: Config, parts: tuple[int, ...]) -> Order:
    """Rows that lie as [q, k, v, z] for each key head -> the chosen ones, all heads of one beside each other."""
    sizes = config.sizes
    keys, head, values = sizes[Size.LINEAR_KEY_HEADS], sizes[Size.LINEAR_HEAD], sizes[Size.LINEAR_VALUES]
    widths = (head, head, values // keys, values // keys)
    starts = np.cumsum((0, *widths))
    rows = np.arange(keys * starts[-1]).reshape(keys, -1)
    return np.concatenate([rows[:, starts[part] : starts[part + 1]].ravel() for part in parts])


def _next_qkv(config: Config) -> Order:
    return _grouped(config, (0, 1, 2))


def _next_gate(config: Config) -> Order:
    return _grouped(config, (3,))


def _kinds(raw: Raw) -> Any:
    """Older files give an interval instead of a list."""
    if (given := raw.get("layer_types")) is not None:
        return given
    interval = count(raw, "full_attention_interval", 4)
    return [_LINEAR if (layer + 1) % interval else FULL for layer in range(count(raw, "num_hidden_layers"))]


def _derived(_raw: Raw, sizes: Mapping[Size, int]) -> dict[Size, int]:
    values = sizes[Size.LINEAR_HEADS] * sizes[Size.LINEAR_HEAD]
    keys = sizes[Size.LINEAR_KEY_HEADS] * sizes[Size.LINEAR_HEAD]
    return {
        Size.GATED_QUERY: 2 * sizes[Size.QUERY],
        Size.LINEAR_VALUES: values,
        Size.LINEAR_QKV: 2 * keys + values,
        Size.LINEAR_QKVZ: 2 * keys + 2 * values,
        Size.LINEAR_BA: 2 * sizes[Size.LINEAR_HEADS],
    }


def _fault(config: Config) -> str | None:
    if config.count("linear_key_head_dim") != config.sizes[Size.LINEAR_HEAD]:
        return "A linear_key_head_dim other than linear_value_head_dim"
    if config.sizes[Size.LINEAR_HEADS] % config.sizes[Size.LINEAR_KEY_HEADS]:
        return "A number of value heads that is no multiple of that of key heads"
    return None


def _is_linear(config: Config) -> list[bool] | None:
    return [kind == _LINEAR for kind in config.layer_types] or None


def _sections(config: Config) -> list[int]:
    given = config.rope.table.get("mrope_section")
    if given is None:
        return _MROPE
    if not isinstance(given, list) or not all(type(n) is int and n >= 0 for n in given) or not sum(given):
        raise Refusal("config.json holds no valid mrope_section.")
    return [*given, 0, 0, 0, 0][:4]


def _qwen35_fault(config: Config) -> str | None:
    sections, head = _sections(config), config.sizes[Size.HEAD]
    if sum(sections) > head:  # llama.cpp would stop the process
        return "An mrope_section wider than a head"
    # a pair of none of the first three takes the position that text leaves at 0 (ggml, `ggml_mrope_cache_init`)
    pairs = range(min(sum(sections), int(head * config.rope.partial) // 2))
    if any(pair >= 3 * sections[pair % 3] for pair in pairs):
        return f"An mrope_section of {sections}"
    return _fault(config)


_NORMS = (
    Row("input_layernorm.weight", "attn_norm.weight", (Size.HIDDEN,), plus_one),
    Row("post_attention_layernorm.weight", "post_attention_norm.weight", (Size.HIDDEN,), plus_one),
)
_ATTENTION = (
    Row("self_attn.q_proj.weight", "attn_q.weight", (Size.GATED_QUERY, Size.HIDDEN)),
    Row("self_attn.k_proj.weight", "attn_k.weight", (Size.KV, Size.HIDDEN)),
    Row("self_attn.v_proj.weight", "attn_v.weight", (Size.KV, Size.HIDDEN)),
    Row("self_attn.o_proj.weight", "attn_output.weight", (Size.HIDDEN, Size.QUERY)),
    *head_norms(plus_one),
)
_LINEAR_NORM = Row("linear_attn.norm.weight", "ssm_norm.weight", (Size.LINEAR_HEAD,))
_CONVOLUTION = (Size.LINEAR_QKV, Size.ONE, Size.CONVOLUTION)
_VALUES_TILED, _COLUMNS_TILED = reordered(_tiled_values), reordered(_tiled_values, axis=-1)
_QWEN35_LINEAR = (
    Row("linear_attn.in_proj_qkv.weight", "attn_qkv.weight", (Size.LINEAR_QKV, Size.HIDDEN), reordered(_tiled_qkv)),
    Row(
        "linear_attn.in_proj_z.weight", "attn_gate.weight", (Size.LINEAR_VALUES, Size.HIDDEN), reordered(_tiled_values)
    ),
    Row("linear_attn.in_proj_b.weight", "ssm_beta.weight", (Size.LINEAR_HEADS, Size.HIDDEN), reordered(_tiled_heads)),
    Row("linear_attn.in_proj_a.weight", "ssm_alpha.weight", (Size.LINEAR_HEADS, Size.HIDDEN), reordered(_tiled_heads)),
    Row("linear_attn.A_log", "ssm_a", (Size.LINEAR_HEADS,), reordered(_tiled_heads, compute=negative_exp)),
    Row("linear_attn.dt_bias", "ssm_dt.bias", (Size.LINEAR_HEADS,), reordered(_tiled_heads)),
    Row("linear_attn.conv1d.weight", "ssm_conv1d.weight", _CONVOLUTION, reordered(_tiled_qkv)),
    Row(
        "linear_attn.out_proj.weight", "ssm_out.weight", (Size.HIDDEN, Size.LINEAR_VALUES), reordered(_tiled_values, -1)
    ),
    _LINEAR_NORM,
)
_NEXT_LINEAR = (
    Row("linear_attn.in_proj_qkvz.weight", "attn_qkv.weight", (Size.LINEAR_QKVZ, Size.HIDDEN), reordered(_next_qkv)),
    Row("linear_attn.in_proj_qkvz.weight", "attn_gate.weight", (Size.LINEAR_QKVZ, Size.HIDDEN), reordered(_next_gate)),
    Row("linear_attn.in_proj_ba.weight", "ssm_ba.weight", (Size.LINEAR_BA, Size.HIDDEN)),
    Row("linear_attn.A_log", "ssm_a", (Size.LINEAR_HEADS,), computed(negative_exp)),
    Row("linear_attn.dt_bias", "ssm_dt.bias", (Size.LINEAR_HEADS,)),
    Row("linear_attn.conv1d.weight", "ssm_conv1d.weight", _CONVOLUTION, squeezed),
    Row("linear_attn.out_proj.weight", "ssm_out.weight", (Size.HIDDEN, Size.LINEAR_VALUES)),
    _LINEAR_NORM,
)
_SHARED = (
    Row("mlp.gate.weight", "ffn_gate_inp.weight", (Size.EXPERTS, Size.HIDDEN)),
    *experts("mlp.experts", "gate_proj", "up_proj", "down_proj", Size.EXPERT_WIDTH),
    *fused_experts("mlp.experts", Size.EXPERT_WIDTH, Size.EXPERT_GATE_UP),
    Row("mlp.shared_expert_gate.weight", "ffn_gate_inp_shexp.weight", (Size.ONE, Size.HIDDEN)),
    Row("mlp.shared_expert.gate_proj.weight", "ffn_gate_shexp.weight", (Size.SHARED_WIDTH, Size.HIDDEN)),
    Row("mlp.shared_expert.up_proj.weight", "ffn_up_shexp.weight", (Size.SHARED_WIDTH, Size.HIDDEN)),
    Row("mlp.shared_expert.down_proj.weight", "ffn_down_shexp.weight", (Size.HIDDEN, Size.SHARED_WIDTH)),
)
_KEYS = (
    *KEYS,
    *HEAD_KEYS,
    Key("ssm.conv_kernel", lambda c: c.sizes[Size.CONVOLUTION]),
    Key("ssm.state_size", lambda c: c.sizes[Size.LINEAR_HEAD]),
    Key("ssm.group_count", lambda c: c.sizes[Size.LINEAR_KEY_HEADS]),
    Key("ssm.time_step_rank", lambda c: c.sizes[Size.LINEAR_HEADS]),
    Key("ssm.inner_size", lambda c: c.sizes[Size.LINEAR_VALUES]),
    Key("attention.recurrent_layers", _is_linear),
    Key("full_attention_interval", lambda c: count(c.raw, "full_attention_interval", 4)),
    Key("rope.dimension_count", lambda c: int(c.sizes[Size.HEAD] * c.rope.partial)),
)
_SIZES = {
    Size.LINEAR_KEY_HEADS: ("linear_num_key_heads",),
    Size.LINEAR_HEADS: ("linear_num_value_heads",),
    Size.LINEAR_HEAD: ("linear_value_head_dim",),
    Size.CONVOLUTION: ("linear_conv_kernel_dim",),
}
_QWEN35 = Architecture(
    "qwen35",
    (*_NORMS, *FEED_FORWARD),
    layers_of={_LINEAR: _QWEN35_LINEAR, FULL: _ATTENTION},
    outer=(EMBEDDING, Row("model.norm.weight", "output_norm.weight", (Size.HIDDEN,), plus_one)),
    keys=(*_KEYS, Key("rope.dimension_sections", _sections)),
    ropes=PLAIN,
    defaults={"partial_rotary_factor": 0.25},
    sizes=_SIZES,
    derived=_derived,
    kinds=_kinds,
    layer_kinds=frozenset({FULL, _LINEAR}),
    has_partial_rotary=True,
    check=_qwen35_fault,
    ignored=("mtp.", "model.mtp.", "model.visual."),  # guesses of further tokens, and sight
    renamed={"model.language_model.": "model."},
)
ARCHITECTURES = {
    "Qwen3_5ForCausalLM": _QWEN35,
    "Qwen3_5ForConditionalGeneration": _QWEN35,
    "Qwen3NextForCausalLM": replace(
        _QWEN35,
        gguf="qwen3next",
        check=_fault,
        layer=(*_NORMS, *_SHARED),
        layers_of={_LINEAR: _NEXT_LINEAR, FULL: _ATTENTION},
        keys=(
            *_KEYS,
            *EXPERT_KEYS,
            EXPERT_WIDTH_KEY,
            Key("expert_shared_feed_forward_length", lambda c: c.sizes[Size.SHARED_WIDTH]),
        ),
        fixed={"norm_topk_prob": (True,), "decoder_sparse_step": (1,), "mlp_only_layers": ([],)},
        sizes={
            **_SIZES,
            Size.EXPERTS: ("num_experts",),
            Size.EXPERT_WIDTH: ("moe_intermediate_size",),
            Size.SHARED_WIDTH: ("shared_expert_intermediate_size",),
        },
    ),
}
