"""OLMo 2 and 3: norms after each half of a layer, over all heads at once. OLMoE: before it, and experts."""

from dataclasses import replace

from backends.convert.architectures.common import (
    EXPERT_KEYS,
    FEED_FORWARD,
    KEYS,
    NORMS,
    PLAIN,
    WINDOW_KEY,
    attention,
    experts,
    fused_experts,
    window_pattern,
)
from backends.convert.architectures.table import Architecture, Key, Row, Window
from backends.convert.config import Config, Size
from backends.convert.rope import FULL, LOCAL


def _fault(config: Config) -> str | None:
    if config.is_tied:
        return "An output matrix that is the embedding"
    return None if config.sizes[Size.QUERY] == config.sizes[Size.HIDDEN] else "A head_dim of its own"


_ATTENTION = (
    *attention(),
    Row("self_attn.q_norm.weight", "attn_q_norm.weight", (Size.QUERY,)),
    Row("self_attn.k_norm.weight", "attn_k_norm.weight", (Size.KV,)),
)
_OLMO2 = Architecture(
    "olmo2",
    (
        *_ATTENTION,
        Row("post_attention_layernorm.weight", "post_attention_norm.weight", (Size.HIDDEN,)),
        Row("post_feedforward_layernorm.weight", "post_ffw_norm.weight", (Size.HIDDEN,)),
        *FEED_FORWARD,
    ),
    keys=KEYS,
    ropes=PLAIN,
    check=_fault,
)
ARCHITECTURES = {
    "OlmoeForCausalLM": Architecture(
        "olmoe",
        (
            *NORMS,
            *_ATTENTION,
            Row("mlp.gate.weight", "ffn_gate_inp.weight", (Size.EXPERTS, Size.HIDDEN)),
            *experts("mlp.experts", "gate_proj", "up_proj", "down_proj", Size.FEED_FORWARD),
            *fused_experts("mlp.experts", Size.FEED_FORWARD, Size.GATE_UP),
        ),
        keys=(*KEYS, *EXPERT_KEYS),
        fixed={"norm_topk_prob": (False,), "clip_qkv": ()},
        defaults={"rms_norm_eps": 1e-5},  # which the first files leave out
        sizes={Size.EXPERTS: ("num_experts",)},
        check=_fault,
    ),
    "Olmo2ForCausalLM": _OLMO2,
    "Olmo3ForCausalLM": replace(
        _OLMO2,
        keys=(*KEYS, WINDOW_KEY, Key("attention.sliding_window_pattern", lambda c: window_pattern(c) or None)),
        layer_kinds=frozenset({FULL, LOCAL}),
        defaults={"rope_theta": 500_000.0, "sliding_window": 4096},
        window=Window.NATIVE,
        has_local_rope=True,
    ),
}
