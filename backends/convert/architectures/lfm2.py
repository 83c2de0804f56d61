"""LFM2: layers of attention and layers of a short convolution."""

from typing import Any

from backends.child import Refusal
from backends.convert.architectures.common import KEYS, PLAIN, VOCAB_KEY
from backends.convert.architectures.table import EMBEDDING, Architecture, Key, Row
from backends.convert.config import Config, Raw, Size, count, number
from backends.convert.layout import squeezed
from backends.convert.rope import FULL

_CONVOLUTION = "conv"


def _feed_forward(raw: Raw) -> int:
    """transformers `Lfm2MLP`: two thirds, times a factor, up to the next multiple."""
    width = count({**raw, "width": raw.get("block_ff_dim") or raw.get("intermediate_size")}, "width")
    if not raw.get("block_auto_adjust_ff_dim", True):
        return width
    width = int(2 * width / 3)
    if raw.get("block_ffn_dim_multiplier", 1.0) is not None:
        width = int(number({"block_ffn_dim_multiplier": 1.0, **raw}, "block_ffn_dim_multiplier") * width)
    multiple = count(raw, "block_multiple_of", 256)
    return multiple * -(-width // multiple)


def _kv_heads(config: Config) -> list[int]:
    """None in a layer of convolution: this is how llama.cpp tells them apart."""
    return [config.sizes[Size.KV_HEADS] if kind == FULL else 0 for kind in config.layer_types]


def _kinds(raw: Raw) -> Any:
    """Older files list the layers of attention by their numbers."""
    if given := raw.get("layer_types"):
        return given
    attention = raw.get("full_attn_idxs")
    if not isinstance(attention, list):
        raise Refusal("config.json names no layer_types, so the layers of convolution are not known.")
    attention = {layer for layer in attention if type(layer) is int}
    return [FULL if layer in attention else _CONVOLUTION for layer in range(count(raw, "num_hidden_layers"))]


def _fault(config: Config) -> str | None:
    return "A convolution with a bias" if config.raw.get("conv_bias") else None


ARCHITECTURES = {
    "Lfm2ForCausalLM": Architecture(
        "lfm2",
        (
            Row("operator_norm.weight", "attn_norm.weight", (Size.HIDDEN,)),
            Row("ffn_norm.weight", "ffn_norm.weight", (Size.HIDDEN,)),
            Row("feed_forward.w1.weight", "ffn_gate.weight", (Size.FEED_FORWARD, Size.HIDDEN)),
            Row("feed_forward.w3.weight", "ffn_up.weight", (Size.FEED_FORWARD, Size.HIDDEN)),
            Row("feed_forward.w2.weight", "ffn_down.weight", (Size.HIDDEN, Size.FEED_FORWARD)),
        ),
        layers_of={
            FULL: (
                Row("self_attn.q_proj.weight", "attn_q.weight", (Size.QUERY, Size.HIDDEN)),
                Row("self_attn.k_proj.weight", "attn_k.weight", (Size.KV, Size.HIDDEN)),
                Row("self_attn.v_proj.weight", "attn_v.weight", (Size.KV, Size.HIDDEN)),
                Row("self_attn.out_proj.weight", "attn_output.weight", (Size.HIDDEN, Size.QUERY)),
                Row("self_attn.q_layernorm.weight", "attn_q_norm.weight", (Size.HEAD,)),
                Row("self_attn.k_layernorm.weight", "attn_k_norm.weight", (Size.HEAD,)),
            ),
            _CONVOLUTION: (
                Row("conv.in_proj.weight", "shortconv.in_proj.weight", (Size.HIDDEN_X3, Size.HIDDEN)),
                Row("conv.out_proj.weight", "shortconv.out_proj.weight", (Size.HIDDEN, Size.HIDDEN)),
                Row("conv.conv.weight", "shortconv.conv.weight", (Size.HIDDEN, Size.ONE, Size.CONVOLUTION), squeezed),
            ),
        },
        outer=(EMBEDDING, Row("model.embedding_norm.weight", "token_embd_norm.weight", (Size.HIDDEN,))),
        keys=(
            *KEYS,
            VOCAB_KEY,
            Key("attention.head_count_kv", _kv_heads),
            Key("shortconv.l_cache", lambda c: c.sizes[Size.CONVOLUTION]),
        ),
        feed_forward=_feed_forward,
        ropes=PLAIN,
        defaults={"rope_theta": 1_000_000.0},
        sizes={Size.CONVOLUTION: ("conv_L_cache",)},
        kinds=_kinds,
        layer_kinds=frozenset({FULL, _CONVOLUTION}),
        check=_fault,
    ),
}
