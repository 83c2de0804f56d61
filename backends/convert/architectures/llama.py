"""Llama and what keeps its rotary order: Mistral, Mixtral, Granite with and without experts, SmolLM3."""

from dataclasses import replace

from backends.convert.architectures.common import (
    BASE_KEYS,
    EXPERT_KEYS,
    FEED_FORWARD,
    HEAD_KEYS,
    KEYS,
    LLAMA_ROPES,
    NORMS,
    PLAIN,
    ROPE_KEYS,
    VOCAB_KEY,
    attention,
    experts,
    fused_experts,
    qkv_biases,
)
from backends.convert.architectures.table import Architecture, Key, Row, Window
from backends.convert.config import Config, Size
from backends.convert.layout import half_of_rows, in_pairs

_QUERY, _KEY = in_pairs(Size.HEADS), in_pairs(Size.KV_HEADS)
_ATTENTION = (*NORMS, *attention(_QUERY, _KEY), *qkv_biases(_QUERY, _KEY))
_DENSE = (*_ATTENTION, *FEED_FORWARD)
_LLAMA = (
    *_DENSE,
    Row("self_attn.o_proj.bias", "attn_output.bias", (Size.HIDDEN,), is_required=False),
    Row("mlp.gate_proj.bias", "ffn_gate.bias", (Size.FEED_FORWARD,), is_required=False),
    Row("mlp.up_proj.bias", "ffn_up.bias", (Size.FEED_FORWARD,), is_required=False),
    Row("mlp.down_proj.bias", "ffn_down.bias", (Size.HIDDEN,), is_required=False),
)
_MIXTRAL = (
    *_ATTENTION,
    Row("block_sparse_moe.gate.weight", "ffn_gate_inp.weight", (Size.EXPERTS, Size.HIDDEN), is_required=False),
    Row("mlp.gate.weight", "ffn_gate_inp.weight", (Size.EXPERTS, Size.HIDDEN)),
    *experts("block_sparse_moe.experts", "w1", "w3", "w2", Size.FEED_FORWARD),
    *fused_experts("mlp.experts", Size.FEED_FORWARD, Size.GATE_UP),
)
_GATE_UP, _GATE_UP_SHAPE = "block_sparse_moe.input_linear.weight", (Size.EXPERTS, Size.GATE_UP, Size.HIDDEN)
_GRANITE_MOE = (
    *_ATTENTION,
    Row("block_sparse_moe.router.layer.weight", "ffn_gate_inp.weight", (Size.EXPERTS, Size.HIDDEN)),
    Row(_GATE_UP, "ffn_gate_exps.weight", _GATE_UP_SHAPE, half_of_rows(0)),
    Row(_GATE_UP, "ffn_up_exps.weight", _GATE_UP_SHAPE, half_of_rows(1)),
    Row(
        "block_sparse_moe.output_linear.weight",
        "ffn_down_exps.weight",
        (Size.EXPERTS, Size.HIDDEN, Size.FEED_FORWARD),
    ),
)
_KEYS = (*KEYS, VOCAB_KEY, Key("rope.dimension_count", lambda c: c.sizes[Size.HEAD]))


def _smollm3_fault(config: Config) -> str | None:
    """llama.cpp leaves every fourth layer without a rotary embedding, whatever the file says."""
    layers = config.raw.get("no_rope_layers")
    if layers is None:
        interval = config.count("no_rope_layer_interval")
        return None if interval == 4 else f"A no_rope_layer_interval of {interval}"
    wanted = [int((layer + 1) % 4 != 0) for layer in range(config.num_layers)]
    return None if layers == wanted else "A list of no_rope_layers that is not every fourth layer"


def _granite_fault(config: Config) -> str | None:
    sizes = config.sizes
    return (
        None if sizes[Size.QUERY] == sizes[Size.HIDDEN] else "A head_dim other than hidden_size / num_attention_heads"
    )


_GRANITE = Architecture(
    "granite",
    _DENSE,
    keys=(
        *BASE_KEYS,
        *ROPE_KEYS,
        VOCAB_KEY,
        Key("rope.dimension_count", lambda c: c.sizes[Size.HEAD]),
        Key("attention.scale", lambda c: c.number("attention_multiplier")),
        Key("embedding_scale", lambda c: c.number("embedding_multiplier")),
        Key("residual_scale", lambda c: c.number("residual_multiplier")),
        Key("logit_scale", lambda c: c.number("logits_scaling")),
    ),
    ropes=LLAMA_ROPES,
    defaults=dict.fromkeys(
        ("attention_multiplier", "embedding_multiplier", "residual_multiplier", "logits_scaling"), 1.0
    ),
    check=_granite_fault,
)
ARCHITECTURES = {
    "LlamaForCausalLM": Architecture("llama", _LLAMA, keys=(*_KEYS, *HEAD_KEYS), ropes=LLAMA_ROPES),
    "MistralForCausalLM": Architecture(
        "llama",
        _LLAMA,
        keys=(*_KEYS, *HEAD_KEYS),
        ropes=LLAMA_ROPES,
        defaults={"sliding_window": 4096},
        window=Window.CAPS_CONTEXT,
    ),
    "MixtralForCausalLM": Architecture(
        "llama",
        _MIXTRAL,
        keys=(*_KEYS, *EXPERT_KEYS),
        defaults={"rope_theta": 1_000_000.0},
        sizes={Size.EXPERTS: ("num_local_experts",)},
        window=Window.CAPS_CONTEXT,
    ),
    "GraniteForCausalLM": _GRANITE,
    "GraniteMoeForCausalLM": replace(
        _GRANITE,
        gguf="granitemoe",
        layer=_GRANITE_MOE,
        keys=(*_GRANITE.keys, *EXPERT_KEYS),
        sizes={Size.EXPERTS: ("num_local_experts",)},
    ),
    "SmolLM3ForCausalLM": Architecture(
        "smollm3",
        _DENSE,
        keys=_KEYS,
        ropes=PLAIN,
        defaults={"rope_theta": 2_000_000.0, "no_rope_layer_interval": 4},
        check=_smollm3_fault,
    ),
}
