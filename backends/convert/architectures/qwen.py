"""Qwen2, Qwen3 and Qwen3-MoE."""

from backends.convert.architectures.common import (
    EXPERT_KEYS,
    EXPERT_WIDTH_KEY,
    FEED_FORWARD,
    KEYS,
    NORMS,
    YARN,
    attention,
    experts,
    fused_experts,
    head_norms,
    qkv_biases,
)
from backends.convert.architectures.table import Architecture, Row
from backends.convert.config import Size

_QWEN3 = (*NORMS, *attention(), *head_norms())
_QWEN3_MOE = (
    *_QWEN3,
    Row("mlp.gate.weight", "ffn_gate_inp.weight", (Size.EXPERTS, Size.HIDDEN)),
    *experts("mlp.experts", "gate_proj", "up_proj", "down_proj", Size.EXPERT_WIDTH),
    *fused_experts("mlp.experts", Size.EXPERT_WIDTH, Size.EXPERT_GATE_UP),
)

ARCHITECTURES = {
    "Qwen2ForCausalLM": Architecture(
        "qwen2", (*NORMS, *attention(), *qkv_biases(is_required=True), *FEED_FORWARD), keys=KEYS, ropes=YARN
    ),
    "Qwen3ForCausalLM": Architecture("qwen3", (*_QWEN3, *FEED_FORWARD), keys=KEYS, ropes=YARN),
    "Qwen3MoeForCausalLM": Architecture(
        "qwen3moe",
        _QWEN3_MOE,
        keys=(*KEYS, *EXPERT_KEYS, EXPERT_WIDTH_KEY),
        ropes=YARN,
        sizes={Size.EXPERTS: ("num_experts", "num_local_experts"), Size.EXPERT_WIDTH: ("moe_intermediate_size",)},
        fixed={"norm_topk_prob": (True,), "decoder_sparse_step": (1,), "mlp_only_layers": ([],)},
        defaults={"norm_topk_prob": False},
    ),
}
