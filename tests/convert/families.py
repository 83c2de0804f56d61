"""Tiny random models of every architecture, made and saved by transformers, with its logits as the truth."""

import os
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tests.convert import checkpoints

NUM_TOKENS = 200
TOKENIZER_SIZE = 473  # of checkpoints.tokenizer
SIZES = {
    "vocab_size": checkpoints.VOCAB_SIZE,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "norm_topk_prob": True}
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 500_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
YARN = {"rope_type": "yarn", "rope_theta": 1e6, "factor": 4.0, "original_max_position_embeddings": 64}
LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 10_000.0,
    "short_factor": [1.0, 1.1, 1.2, 1.3, 1.4, 1.5],
    "long_factor": [1.5, 2.0, 3.0, 4.0, 5.0, 6.0],
    "partial_rotary_factor": 0.75,
}
LOCAL, FULL = "sliding_attention", "full_attention"


@dataclass(frozen=True, slots=True)
class Family:
    """settings: what differs from SIZES. after: changes to the saved config.json, to look like transformers 4."""

    name: str  # of the class, without Config and ForCausalLM
    settings: dict[str, Any] = field(default_factory=dict)
    dtype: str = "float32"
    shard_bytes: int | None = None
    after: dict[str, Any] = field(default_factory=dict)
    nested: bool = False  # as the text part of a model that sees
    zero_norms: bool = False  # norm weights lie around zero
    seed: int = 0
    query_size: float = 1.0  # Gemma 4 does not scale attention, and a sharp one magnifies what GELU rounds


def two_ropes(theta: float, local: float, factor: float | None = None) -> dict[str, Any]:
    full: dict[str, Any] = {"rope_type": "default", "rope_theta": theta}
    if factor:
        full |= {"rope_type": "linear", "factor": factor}
    return {FULL: full, LOCAL: {"rope_type": "default", "rope_theta": local}}


GEMMA3 = {
    "vocab_size": TOKENIZER_SIZE + 3,  # llama.cpp's converter cuts off the rows beyond, we keep them
    "num_hidden_layers": 7,
    "head_dim": 16,
    "query_pre_attn_scalar": 16,
    "sliding_window": 32,
    "rope_parameters": two_ropes(1e6, 1e4, 8.0),
    "layer_types": [LOCAL] * 5 + [FULL, LOCAL],
}
GEMMA4 = {
    "num_hidden_layers": 4,
    "layer_types": [LOCAL, FULL] * 2,
    "head_dim": 16,
    "global_head_dim": 32,
    "hidden_size_per_layer_input": 8,
    "vocab_size": TOKENIZER_SIZE + 3,  # as above
    "vocab_size_per_layer_input": TOKENIZER_SIZE + 3,
    "num_kv_shared_layers": 2,
    "use_double_wide_mlp": True,
    "sliding_window": 32,
    "final_logit_softcapping": 30.0,
}
LINEAR_ATTENTION = {
    "num_hidden_layers": 4,
    "head_dim": 16,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
}
MLA = {
    "num_key_value_heads": 4,
    "kv_lora_rank": 16,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 16,
    "v_head_dim": 24,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 32,
    "first_k_dense_replace": 1,
}
FAMILIES = {
    "llama, llama3 rope, biases": Family(
        "Llama", {"rope_parameters": LLAMA3_ROPE, "attention_bias": True, "mlp_bias": True}
    ),
    "llama, tied, BF16, shards": Family("Llama", {"tie_word_embeddings": True}, dtype="bfloat16", shard_bytes=100_000),
    "llama of transformers 4": Family(
        "Llama",
        {"rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 1e5}},
        dtype="float16",
        after={
            "rope_parameters": None,
            "rope_theta": 1e5,
            "rope_scaling": {"type": "linear", "factor": 4.0},
            "head_dim": None,
        },
    ),
    "mistral": Family("Mistral", {"head_dim": 32, "sliding_window": None}),
    "mistral, window": Family("Mistral", {"sliding_window": 224}),
    "mistral3, nested": Family("Mistral3", {"head_dim": 32, "sliding_window": None}, nested=True),
    "ministral3": Family(
        "Ministral3",
        {
            "head_dim": 32,
            "rope_parameters": {
                **YARN,
                **dict.fromkeys(("mscale", "mscale_all_dim"), 1.0),
                "llama_4_scaling_beta": 0.1,
            },
        },
    ),
    "mixtral": Family("Mixtral", {"num_local_experts": 4, "num_experts_per_tok": 2}),
    "qwen2": Family("Qwen2", {"tie_word_embeddings": True}),
    "qwen3": Family("Qwen3", {"head_dim": 32}),
    "qwen3_moe": Family("Qwen3Moe", {**EXPERTS, "head_dim": 32}),
    "gemma": Family("Gemma", {"head_dim": 32}, zero_norms=True),
    "gemma2": Family("Gemma2", {"head_dim": 32, "query_pre_attn_scalar": 32, "sliding_window": 32}, zero_norms=True),
    "gemma2, long window": Family(
        "Gemma2",
        {
            "head_dim": 16,
            "query_pre_attn_scalar": 16,
            "sliding_window": 240,
            "attn_logit_softcapping": 20.0,  # neither is what llama.cpp takes without the key
            "final_logit_softcapping": 15.0,
        },
        zero_norms=True,
    ),
    "gemma3": Family("Gemma3", GEMMA3, zero_norms=True),
    "gemma3, another pattern": Family(
        "Gemma3", {**GEMMA3, "num_hidden_layers": 3, "layer_types": [LOCAL, FULL, LOCAL]}, zero_norms=True
    ),
    "gemma3, nested": Family("Gemma3", GEMMA3, nested=True, zero_norms=True),
    "gemma4, per layer, shared keys": Family("Gemma4", GEMMA4, query_size=0.1),
    "gemma4, experts": Family(
        "Gemma4",
        {
            **GEMMA4,
            "num_hidden_layers": 2,  # the fewer, the fewer near ties between experts
            "layer_types": [LOCAL, FULL],
            "hidden_size_per_layer_input": 0,
            "num_kv_shared_layers": 0,
            "use_double_wide_mlp": False,
            "num_global_key_value_heads": 1,
            "attention_k_eq_v": True,
            "enable_moe_block": True,
            "num_experts": 4,
            "top_k_experts": 2,
            "moe_intermediate_size": 32,
            "final_logit_softcapping": None,
        },
        seed=1,  # of 24 the one whose closest two experts are farthest apart
        query_size=0.1,
    ),
    "gemma4, nested": Family("Gemma4", GEMMA4, nested=True, query_size=0.1),
    "phi3": Family("Phi3", {"sliding_window": 240}),
    "phi3, longrope, short": Family(
        "Phi3", {"rope_parameters": LONGROPE, "original_max_position_embeddings": 1024, "max_position_embeddings": 4096}
    ),
    "phi3, longrope, long": Family("Phi3", {"rope_parameters": LONGROPE, "original_max_position_embeddings": 128}),
    "smollm3": Family("SmolLM3", {"num_hidden_layers": 5, "tie_word_embeddings": True}),
    "lfm2": Family("Lfm2", {"num_hidden_layers": 4, "layer_types": ["conv", FULL, "conv", FULL]}),
    "granite": Family(
        "Granite",
        {
            "attention_multiplier": 0.2,
            "embedding_multiplier": 3.0,
            "residual_multiplier": 0.5,
            "logits_scaling": 2.0,
            "tie_word_embeddings": True,
        },
    ),
    "granitemoe": Family(
        "GraniteMoe",
        {
            "num_local_experts": 4,
            "num_experts_per_tok": 2,
            "attention_multiplier": 0.2,
            "embedding_multiplier": 3.0,
            "residual_multiplier": 0.5,
            "logits_scaling": 2.0,
            "tie_word_embeddings": True,
        },
    ),
    "olmoe": Family("Olmoe", {"num_experts": 4, "num_experts_per_tok": 2, "num_key_value_heads": 4}),
    "gpt_oss": Family(
        "GptOss",
        {
            "num_local_experts": 4,
            "num_experts_per_tok": 2,
            "head_dim": 64,
            "sliding_window": 32,
            # the real ones say truncate = False, which llama.cpp rounds: see test_gpt_oss
            "rope_parameters": {**YARN, "rope_theta": 150_000.0, "factor": 32.0, "truncate": True},
        },
    ),
    "deepseek_v2 lite, yarn": Family(
        "DeepseekV2",
        {
            **MLA,
            "num_hidden_layers": 27,
            "q_lora_rank": None,
            "n_shared_experts": 2,
            "topk_method": "greedy",
            "norm_topk_prob": False,
            "rope_parameters": {**YARN, "mscale": 0.707, "mscale_all_dim": 0.707},
        },
    ),
    "deepseek_v3": Family(
        "DeepseekV3", {**MLA, "q_lora_rank": 24, "n_routed_experts": 8, "n_group": 4, "topk_group": 2}
    ),
    "glm4": Family("Glm4", {"head_dim": 16, "attention_bias": True}),
    "qwen3, yarn": Family("Qwen3", {"head_dim": 32, "rope_parameters": YARN}),
    "qwen3.5": Family("Qwen3_5", {**LINEAR_ATTENTION, "head_dim": 32}, zero_norms=True),
    "qwen3.5, nested": Family(
        "Qwen3_5",
        {**LINEAR_ATTENTION, "head_dim": 64, "linear_num_value_heads": 6, "tie_word_embeddings": True},
        nested=True,
        zero_norms=True,
    ),
    "qwen3_next": Family(
        "Qwen3Next",
        {**LINEAR_ATTENTION, **EXPERTS, "shared_expert_intermediate_size": 48},
        zero_norms=True,
    ),
    "llama, yarn": Family("Llama", {"rope_parameters": YARN}),
    "olmo2": Family("Olmo2"),
    "olmo3": Family(
        "Olmo3", {"num_hidden_layers": 4, "sliding_window": 32, "layer_types": [LOCAL, LOCAL, LOCAL, FULL]}
    ),
}


def ids() -> list[int]:
    return np.random.default_rng(1).integers(3, TOKENIZER_SIZE, NUM_TOKENS).tolist()


def save(family: Family, folder: Path) -> np.ndarray:
    """Writes the whole checkpoint and returns (tokens, vocabulary) of transformers for `ids()`."""
    import torch

    model = _model(family)
    logits = _logits(model)  # in float32: rounding the whole model would round its rotary frequencies too
    model.to(getattr(torch, family.dtype))
    folder.mkdir(parents=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of transformers about itself
        model.save_pretrained(folder, **({"max_shard_size": family.shard_bytes} if family.shard_bytes else {}))
    checkpoints.change_json(folder / "config.json", **family.after)
    (folder / "generation_config.json").unlink(missing_ok=True)
    checkpoints.write_tokenizer(folder)
    return logits


def _model(family: Family) -> Any:
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    is_text_of_more = family.name in ("Gemma3", "Gemma4", "Qwen3_5")
    is_mistral = family.name == "Mistral3"  # whose text is a plain Mistral
    config_class = getattr(transformers, f"{family.name}{'Text' if is_text_of_more else ''}Config")
    config_class = transformers.MistralConfig if is_mistral else config_class
    settings = {"dtype": "float32", **SIZES, **family.settings}
    torch.manual_seed(family.seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = config_class(**settings)
        if family.nested:
            model = _seeing_model(transformers, family.name, config)
        else:
            model = getattr(transformers, f"{family.name}ForCausalLM")(config)
    with torch.no_grad():
        stored = (b for b in model.named_buffers() if b[0].endswith(("e_score_correction_bias", "layer_scalar")))
        for name, weight in (*model.named_parameters(), *stored):
            values = _random(torch, name, weight, family.zero_norms)
            values *= family.query_size if "q_norm" in name else 1.0
            weight.copy_(values.to(getattr(torch, family.dtype)))
    return model.eval()


def _seeing_model(transformers: Any, name: str, text: Any) -> Any:
    vision = {
        "Mistral3": {"num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 28, "patch_size": 14},
        "Gemma3": {"num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 28, "patch_size": 14},
        "Gemma4": {"num_hidden_layers": 1, "num_attention_heads": 2},
        "Qwen3_5": {"depth": 1, "num_heads": 2, "out_hidden_size": text.hidden_size, "num_position_embeddings": 16},
    }[name] | {"hidden_size": 16, "intermediate_size": 32}
    if name == "Gemma4":
        vision |= {"head_dim": 8, "num_key_value_heads": 2}
    if name in ("Gemma3", "Mistral3"):
        vision["model_type"] = "siglip_vision_model" if name == "Gemma3" else "pixtral"
    audio = {"audio_config": None} if name == "Gemma4" else {}
    config = getattr(transformers, f"{name}Config")(text_config=text.to_dict(), vision_config=vision, **audio)
    return getattr(transformers, f"{name}ForConditionalGeneration")(config)


def _random(torch: Any, name: str, weight: Any, zero_norms: bool) -> Any:
    """Matrices that keep the size of what they multiply; norms that are not all one, so that a mistake shows."""
    noise = torch.randn(weight.shape)
    if weight.dim() > 1:
        return noise if "embed_tokens" in name else noise * weight.shape[-1] ** -0.5 * 1.5
    if "norm" in name:
        return (0.0 if zero_norms else 1.0) + 0.2 * noise
    if "scal" in name:
        return 1.0 + 0.2 * noise
    return 0.3 * noise


def _logits(model: Any) -> np.ndarray:
    import torch

    model.set_attn_implementation("eager")
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logits = model(torch.tensor([ids()]), use_cache=False).logits[0]
    return np.asarray(logits.numpy(), np.float32)
