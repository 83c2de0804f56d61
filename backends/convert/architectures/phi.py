"""Phi-3, Phi-3.5 and Phi-4: fused matrices, and factors for short and long contexts."""

from backends.convert.architectures.common import BASE_KEYS, NORMS
from backends.convert.architectures.table import Architecture, Key, Row, Window
from backends.convert.config import Config, Size
from backends.convert.rope import RopeKind, longrope_attention_factor


def rotary(config: Config) -> int:
    return int(config.rope.partial * config.sizes[Size.HIDDEN]) // config.sizes[Size.HEADS]


def _fault(config: Config) -> str | None:
    if config.sizes[Size.QUERY] != config.sizes[Size.HIDDEN]:
        return "A head_dim other than hidden_size / num_attention_heads"
    if rotary(config) != int(config.sizes[Size.HEAD] * config.rope.partial):
        return f"A partial_rotary_factor of {config.rope.partial:g}, which cuts a head in its middle"
    return None


ARCHITECTURES = {
    "Phi3ForCausalLM": Architecture(
        "phi3",
        (
            *NORMS,
            Row("self_attn.qkv_proj.weight", "attn_qkv.weight", (Size.QKV, Size.HIDDEN)),
            Row("self_attn.o_proj.weight", "attn_output.weight", (Size.HIDDEN, Size.QUERY)),
            Row("mlp.gate_up_proj.weight", "ffn_up.weight", (Size.GATE_UP, Size.HIDDEN)),
            Row("mlp.down_proj.weight", "ffn_down.weight", (Size.HIDDEN, Size.FEED_FORWARD)),
        ),
        keys=(
            *BASE_KEYS,
            Key("rope.scaling.original_context_length", lambda c: c.rope.original_context),
            Key("rope.dimension_count", rotary),
            Key("rope.freq_base", lambda c: c.rope.theta),
            # llama.cpp reads the 0 as: no window, as in Phi-4
            Key("attention.sliding_window", lambda c: c.sliding_window or 0),
            Key(
                "rope.scaling.attn_factor",
                lambda c: longrope_attention_factor(c.rope) if c.rope.kind is RopeKind.LONGROPE else None,
            ),
        ),
        ropes=frozenset({RopeKind.PLAIN, RopeKind.LONGROPE}),
        defaults={"original_max_position_embeddings": 4096},
        window=Window.CAPS_CONTEXT,
        has_partial_rotary=True,
        check=_fault,
    ),
}
