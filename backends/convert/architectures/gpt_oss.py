"""gpt-oss: attention with sinks, experts in MXFP4 as published, or in 16 and 32 bits, where they lie transposed.

Gate and up alternate, by rows in MXFP4 and by columns otherwise.
"""

from backends.convert.architectures.common import (
    EXPERT_KEYS,
    EXPERT_WIDTH_KEY,
    HEAD_KEYS,
    KEYS,
    WINDOW_KEY,
    attention,
    pattern_key,
    qkv_biases,
)
from backends.convert.architectures.table import Architecture, Row, Window
from backends.convert.config import Size
from backends.convert.layout import every_second, transposed, transposed_every_second
from backends.convert.packed import packed_rows
from backends.convert.quantized.mxfp4 import BLOCKS
from backends.convert.rope import FULL, LOCAL, RopeKind

_GATE_UP, _GATE_UP_BIAS = "mlp.experts.gate_up_proj", "mlp.experts.gate_up_proj_bias"
_GATE_UP_SHAPE = (Size.EXPERTS, Size.HIDDEN, Size.EXPERT_GATE_UP)
_GATE_UP_ROWS = (Size.EXPERTS, Size.EXPERT_GATE_UP, Size.HIDDEN)

ARCHITECTURES = {
    "GptOssForCausalLM": Architecture(
        "gpt-oss",
        (
            Row("input_layernorm.weight", "attn_norm.weight", (Size.HIDDEN,)),
            Row("post_attention_layernorm.weight", "post_attention_norm.weight", (Size.HIDDEN,)),
            *attention(),
            *qkv_biases(is_required=True),
            Row("self_attn.o_proj.bias", "attn_output.bias", (Size.HIDDEN,)),
            Row("self_attn.sinks", "attn_sinks.weight", (Size.HEADS,)),
            Row("mlp.router.weight", "ffn_gate_inp.weight", (Size.EXPERTS, Size.HIDDEN)),
            Row("mlp.router.bias", "ffn_gate_inp.bias", (Size.EXPERTS,)),
            Row(_GATE_UP, "ffn_gate_exps.weight", _GATE_UP_SHAPE, transposed_every_second(0)),
            Row(_GATE_UP, "ffn_up_exps.weight", _GATE_UP_SHAPE, transposed_every_second(1)),
            Row(
                "mlp.experts.down_proj",
                "ffn_down_exps.weight",
                (Size.EXPERTS, Size.EXPERT_WIDTH, Size.HIDDEN),
                transposed,
            ),
            Row(f"{_GATE_UP}{BLOCKS}", "ffn_gate_exps.weight", _GATE_UP_ROWS, packed_rows(0, 2)),
            Row(f"{_GATE_UP}{BLOCKS}", "ffn_up_exps.weight", _GATE_UP_ROWS, packed_rows(1, 2)),
            Row(
                f"mlp.experts.down_proj{BLOCKS}",
                "ffn_down_exps.weight",
                (Size.EXPERTS, Size.HIDDEN, Size.EXPERT_WIDTH),
                packed_rows(),
            ),
            Row(_GATE_UP_BIAS, "ffn_gate_exps.bias", (Size.EXPERTS, Size.EXPERT_GATE_UP), every_second(0)),
            Row(_GATE_UP_BIAS, "ffn_up_exps.bias", (Size.EXPERTS, Size.EXPERT_GATE_UP), every_second(1)),
            Row("mlp.experts.down_proj_bias", "ffn_down_exps.bias", (Size.EXPERTS, Size.HIDDEN)),
        ),
        keys=(*KEYS, *HEAD_KEYS, *EXPERT_KEYS, EXPERT_WIDTH_KEY, WINDOW_KEY, pattern_key(2)),
        ropes=frozenset({RopeKind.YARN}),
        fixed={"swiglu_limit": (7.0,), "swiglu_alpha": (1.702,)},
        defaults={"rope_theta": 150_000.0, "sliding_window": 128},
        sizes={Size.EXPERTS: ("num_local_experts",), Size.EXPERT_WIDTH: ("intermediate_size",)},
        layer_kinds=frozenset({FULL, LOCAL}),
        window=Window.NATIVE,
    ),
}
