"""A tiny checkpoint of every architecture that can be converted, made from the converter's own table. No transformers.

Its weights are zeros: it is for what a damaged setting does, not for what the model answers.
"""

from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from backends.convert import plan
from backends.convert.architectures import ARCHITECTURES
from backends.convert.config import Size
from backends.convert.settings import read_config
from tests.convert import checkpoints

FULL, LOCAL = "full_attention", "sliding_attention"
YARN = {"rope_type": "yarn", "rope_theta": 1e6, "factor": 4.0, "original_max_position_embeddings": 64}
LLAMA3 = {**YARN, "rope_type": "llama3", "low_freq_factor": 1.0, "high_freq_factor": 4.0}
LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 1e4,
    "short_factor": [1.0] * 6,
    "long_factor": [2.0] * 6,
    "partial_rotary_factor": 0.75,
}
TWO_ROPES = {FULL: {"rope_type": "default", "rope_theta": 1e6}, LOCAL: {"rope_type": "default", "rope_theta": 1e4}}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "norm_topk_prob": True}
LINEAR = {
    "num_hidden_layers": 4,
    "head_dim": 32,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
    "linear_conv_kernel_dim": 4,
    "full_attention_interval": 4,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e7, "partial_rotary_factor": 0.25},
}
GEMMA = {
    "head_dim": 16,
    "query_pre_attn_scalar": 16,
    "sliding_window": 32,
    "tie_word_embeddings": True,
    "hidden_act": None,
    "final_logit_softcapping": 30.0,
}
MLA = {
    "num_hidden_layers": 2,
    "num_key_value_heads": 4,
    "kv_lora_rank": 16,
    "q_lora_rank": 24,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 16,
    "v_head_dim": 24,
    "n_routed_experts": 8,
    "n_shared_experts": 1,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 32,
    "first_k_dense_replace": 1,
    "routed_scaling_factor": 1.5,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "LlamaForCausalLM": {"rope_parameters": LLAMA3, "head_dim": 16},
    "MistralForCausalLM": {"sliding_window": 224},
    "Ministral3ForCausalLM": {
        "model_type": "ministral3",
        "head_dim": 32,
        "rope_parameters": {**YARN, "mscale": 1.0, "mscale_all_dim": 1.0, "llama_4_scaling_beta": 0.1},
    },
    "MixtralForCausalLM": {"num_local_experts": 4, "num_experts_per_tok": 2},
    "GraniteForCausalLM": dict.fromkeys(
        ("attention_multiplier", "embedding_multiplier", "residual_multiplier", "logits_scaling"), 2.0
    ),
    "GraniteMoeForCausalLM": {"num_local_experts": 4, "num_experts_per_tok": 2},
    "OlmoeForCausalLM": {"num_experts": 4, "num_experts_per_tok": 2},
    "SmolLM3ForCausalLM": {"no_rope_layer_interval": 4},
    "Qwen2ForCausalLM": {"use_sliding_window": False, "sliding_window": 32},
    "Qwen3ForCausalLM": {"head_dim": 32, "rope_parameters": YARN},
    "Qwen3MoeForCausalLM": {**EXPERTS, "decoder_sparse_step": 1},
    "Qwen3NextForCausalLM": {**LINEAR, **EXPERTS, "shared_expert_intermediate_size": 48, "decoder_sparse_step": 1},
    "Qwen3_5ForCausalLM": {
        **LINEAR,
        "rope_parameters": {**LINEAR["rope_parameters"], "mrope_section": [2, 1, 1]},
    },
    "GemmaForCausalLM": {"head_dim": 16, "hidden_act": "gelu", "tie_word_embeddings": True},
    "Gemma2ForCausalLM": {**GEMMA, "attn_logit_softcapping": 50.0},
    "Gemma3ForCausalLM": {**GEMMA, "rope_parameters": TWO_ROPES, "layer_types": [LOCAL, FULL]},
    "Gemma4ForCausalLM": {
        **GEMMA,
        "num_hidden_layers": 4,
        "layer_types": [LOCAL, FULL] * 2,
        "global_head_dim": 32,
        "num_global_key_value_heads": 1,
        "hidden_size_per_layer_input": 8,
        "vocab_size_per_layer_input": checkpoints.VOCAB_SIZE,
        "num_kv_shared_layers": 2,
        "use_double_wide_mlp": True,
        "enable_moe_block": True,
        "num_experts": 4,
        "top_k_experts": 2,
        "moe_intermediate_size": 32,
        "rope_parameters": {
            FULL: {"rope_type": "proportional", "rope_theta": 1e6, "partial_rotary_factor": 0.25},
            LOCAL: {"rope_type": "default", "rope_theta": 1e4},
        },
    },
    "Phi3ForCausalLM": {
        "rope_parameters": LONGROPE,
        "original_max_position_embeddings": 128,
        "sliding_window": 240,
    },
    "Lfm2ForCausalLM": {"full_attn_idxs": [1], "conv_L_cache": 3, "block_multiple_of": 32, "block_ff_dim": 128},
    "GptOssForCausalLM": {
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "head_dim": 64,
        "sliding_window": 32,
        "intermediate_size": 64,
        "layer_types": [LOCAL, FULL],
        "rope_parameters": {**YARN, "rope_theta": 150_000.0, "truncate": True},
    },
    "DeepseekV2ForCausalLM": {
        **MLA,
        "num_hidden_layers": 27,
        "q_lora_rank": None,
        "norm_topk_prob": False,
        "rope_parameters": {**YARN, "mscale": 0.7, "mscale_all_dim": 0.7},
    },
    "DeepseekV3ForCausalLM": {**MLA, "n_group": 4, "topk_group": 2, "num_nextn_predict_layers": 1},
    "Glm4ForCausalLM": {"head_dim": 16, "partial_rotary_factor": 0.5},
    "Olmo2ForCausalLM": {},
    "Olmo3ForCausalLM": {"sliding_window": 32, "layer_types": [LOCAL, FULL]},
}


def settings(name: str) -> dict[str, Any]:
    sizes = {"hidden_size": 64, "intermediate_size": 128, "eos_token_id": 2, "bos_token_id": 1}
    return checkpoints.config(name, **{**sizes, **SETTINGS[name]})


def write(name: str, folder: Path) -> dict[str, Any]:
    """The whole folder; returns what config.json holds."""
    folder.mkdir(parents=True, exist_ok=True)
    values = settings(name)
    if values.get("hidden_act", 0) is None:
        values.pop("hidden_act")
    checkpoints.write_json(folder / "config.json", values)
    architecture, config = read_config(folder)
    tensors: dict[str, np.ndarray] = {}
    seen: set[str] = set()
    for row, prefix, target in plan._rows(architecture, config, has_output=not config.is_tied):
        if target in seen and row.source.count(".experts"):  # another form of the same experts
            continue
        seen.add(target)
        shape = tuple(config.sizes[size] for size in row.shape)
        experts = range(config.sizes[Size.EXPERTS]) if "*" in row.source else (0,)
        if row.is_required:
            tensors |= {prefix + row.source.replace("*", str(e)): np.zeros(shape, np.float16) for e in experts}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    checkpoints.write_tokenizer(folder)
    return values


assert set(SETTINGS) == {name for name in ARCHITECTURES if name.endswith("ForCausalLM")}
