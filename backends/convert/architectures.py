"""The one table of architectures that can be converted: tensor names, shapes, rotary order. Knows no files.

A checkpoint must hold exactly these tensors in exactly these shapes; anything else is refused, never guessed.
Names left: Hugging Face transformers. Names right: llama.cpp, gguf-py `constants.py` and `src/models/*.cpp`.
"""

from dataclasses import dataclass
from enum import Enum

from backends.convert.config import RopeKind, Size


class Heads(Enum):
    """Whose rows change from transformers' rotary order (halves) to that of llama.cpp (pairs)."""

    QUERY = Size.HEADS
    KEY = Size.KV_HEADS


@dataclass(frozen=True, slots=True)
class Row:
    """One tensor. In a layer's row the names follow "model.layers.N." and "blk.N."."""

    source: str
    target: str
    shape: tuple[Size, ...]
    is_required: bool = True
    rotary: Heads | None = None


@dataclass(frozen=True, slots=True)
class Architecture:
    gguf: str
    layer: tuple[Row, ...]
    ropes: frozenset[RopeKind]
    writes_rope_dimension: bool = False  # and the vocabulary's size: keys that llama.cpp reads for "llama" only
    window_caps_context: bool = False  # no sliding window in llama.cpp: exact as long as the context fits into it


EMBEDDING = Row("model.embed_tokens.weight", "token_embd.weight", (Size.VOCAB, Size.HIDDEN))
OUTPUT_NORM = Row("model.norm.weight", "output_norm.weight", (Size.HIDDEN,))
OUTPUT = Row("lm_head.weight", "output.weight", (Size.VOCAB, Size.HIDDEN))
IGNORED_SUFFIXES = ("rotary_emb.inv_freq",)  # a buffer of old transformers, computed from the configuration


def _block(query: Heads | None, key: Heads | None) -> tuple[Row, ...]:
    return (
        Row("input_layernorm.weight", "attn_norm.weight", (Size.HIDDEN,)),
        Row("self_attn.q_proj.weight", "attn_q.weight", (Size.QUERY, Size.HIDDEN), rotary=query),
        Row("self_attn.k_proj.weight", "attn_k.weight", (Size.KV, Size.HIDDEN), rotary=key),
        Row("self_attn.v_proj.weight", "attn_v.weight", (Size.KV, Size.HIDDEN)),
        Row("self_attn.o_proj.weight", "attn_output.weight", (Size.HIDDEN, Size.QUERY)),
        Row("post_attention_layernorm.weight", "ffn_norm.weight", (Size.HIDDEN,)),
        Row("mlp.gate_proj.weight", "ffn_gate.weight", (Size.FEED_FORWARD, Size.HIDDEN)),
        Row("mlp.up_proj.weight", "ffn_up.weight", (Size.FEED_FORWARD, Size.HIDDEN)),
        Row("mlp.down_proj.weight", "ffn_down.weight", (Size.HIDDEN, Size.FEED_FORWARD)),
    )


def _qkv_biases(query: Heads | None, key: Heads | None, is_required: bool) -> tuple[Row, ...]:
    return (
        Row("self_attn.q_proj.bias", "attn_q.bias", (Size.QUERY,), is_required, query),
        Row("self_attn.k_proj.bias", "attn_k.bias", (Size.KV,), is_required, key),
        Row("self_attn.v_proj.bias", "attn_v.bias", (Size.KV,), is_required),
    )


_LLAMA = (
    *_block(Heads.QUERY, Heads.KEY),
    *_qkv_biases(Heads.QUERY, Heads.KEY, is_required=False),
    Row("self_attn.o_proj.bias", "attn_output.bias", (Size.HIDDEN,), is_required=False),
    Row("mlp.gate_proj.bias", "ffn_gate.bias", (Size.FEED_FORWARD,), is_required=False),
    Row("mlp.up_proj.bias", "ffn_up.bias", (Size.FEED_FORWARD,), is_required=False),
    Row("mlp.down_proj.bias", "ffn_down.bias", (Size.HIDDEN,), is_required=False),
)
_QWEN2 = (*_block(None, None), *_qkv_biases(None, None, is_required=True))
_QWEN3 = (
    *_block(None, None),
    Row("self_attn.q_norm.weight", "attn_q_norm.weight", (Size.HEAD,)),
    Row("self_attn.k_norm.weight", "attn_k_norm.weight", (Size.HEAD,)),
)
_PLAIN = frozenset({RopeKind.PLAIN, RopeKind.LINEAR})
_LLAMA_ROPES = _PLAIN | {RopeKind.LLAMA3}  # llama.cpp reads rope_freqs.weight for "llama", not for "qwen2" or "qwen3"

ARCHITECTURES = {
    "LlamaForCausalLM": Architecture("llama", _LLAMA, _LLAMA_ROPES, writes_rope_dimension=True),
    "MistralForCausalLM": Architecture(
        "llama", _LLAMA, _LLAMA_ROPES, writes_rope_dimension=True, window_caps_context=True
    ),
    "Qwen2ForCausalLM": Architecture("qwen2", _QWEN2, _PLAIN),
    "Qwen3ForCausalLM": Architecture("qwen3", _QWEN3, _PLAIN),
}
