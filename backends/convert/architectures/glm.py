"""GLM-4 of April 2025: a half of each head is turned, norms before and after each half of a layer."""

from backends.convert.architectures.common import KEYS, attention, qkv_biases
from backends.convert.architectures.table import Architecture, Key, Row
from backends.convert.config import Size

ARCHITECTURES = {
    "Glm4ForCausalLM": Architecture(
        "glm4",
        (
            Row("input_layernorm.weight", "attn_norm.weight", (Size.HIDDEN,)),
            Row("post_self_attn_layernorm.weight", "post_attention_norm.weight", (Size.HIDDEN,)),
            Row("post_attention_layernorm.weight", "ffn_norm.weight", (Size.HIDDEN,)),
            Row("post_mlp_layernorm.weight", "post_ffw_norm.weight", (Size.HIDDEN,)),
            *attention(),
            *qkv_biases(),
            Row("mlp.gate_up_proj.weight", "ffn_up.weight", (Size.GATE_UP, Size.HIDDEN)),
            Row("mlp.down_proj.weight", "ffn_down.weight", (Size.HIDDEN, Size.FEED_FORWARD)),
        ),
        keys=(*KEYS, Key("rope.dimension_count", lambda c: int(c.sizes[Size.HEAD] * c.rope.partial))),
        defaults={"partial_rotary_factor": 0.5},
        has_partial_rotary=True,
    ),
}
