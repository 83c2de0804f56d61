"""A tiny gpt-oss as it is published: experts in MXFP4 blocks, YaRN that is not rounded, the settings of the 20B."""

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import save_file

from tests.convert import checkpoints, families

LAYERS, EXPERTS, HIDDEN, WIDE = 4, 4, 96, 64  # no dimension as another one; 32 divides both
LOCAL, FULL = "sliding_attention", "full_attention"
YARN = {
    "beta_fast": 32.0,
    "beta_slow": 1.0,
    "factor": 32.0,
    "original_max_position_embeddings": 4096,
    "rope_type": "yarn",
    "truncate": False,
}
CONFIG: dict[str, Any] = {
    "architectures": ["GptOssForCausalLM"],
    "attention_bias": True,
    "attention_dropout": 0.0,
    "eos_token_id": 2,
    "experts_per_token": 2,
    "head_dim": 64,
    "hidden_act": "silu",
    "hidden_size": HIDDEN,
    "initial_context_length": 4096,
    "initializer_range": 0.02,
    "intermediate_size": WIDE,
    "layer_types": [LOCAL, FULL] * (LAYERS // 2),
    "max_position_embeddings": 131072,
    "model_type": "gpt_oss",
    "num_attention_heads": 4,
    "num_experts_per_tok": 2,
    "num_hidden_layers": LAYERS,
    "num_key_value_heads": 2,
    "num_local_experts": EXPERTS,
    "output_router_logits": False,
    "pad_token_id": 0,
    "quantization_config": {
        "modules_to_not_convert": [
            "model.layers.*.self_attn",
            "model.layers.*.mlp.router",
            "model.embed_tokens",
            "lm_head",
        ],
        "quant_method": "mxfp4",
    },
    "rms_norm_eps": 1e-05,
    "rope_scaling": YARN,
    "rope_theta": 150000,
    "router_aux_loss_coef": 0.9,
    "sliding_window": 128,
    "swiglu_limit": 7.0,
    "tie_word_embeddings": False,
    "transformers_version": "4.55.0.dev0",
    "use_cache": True,
    "vocab_size": checkpoints.VOCAB_SIZE,
}


def save(folder: Path, **changes: Any) -> dict[bool, np.ndarray]:
    """Writes the whole checkpoint; transformers' logits for families.ids(), by whether its YaRN is rounded."""
    import torch

    settings = {**CONFIG, **changes}
    model = _model(settings)
    packed: dict[str, Any] = {}
    for name, weight in model.named_parameters():
        if name.endswith(("gate_up_proj", "down_proj")):
            _pack(torch, name, weight, packed)
    logits = {is_rounded: _logits(settings, model, is_rounded) for is_rounded in (True, False)}
    rest = {name: value.bfloat16().contiguous() for name, value in model.state_dict().items()}
    tensors = {name: value for name, value in rest.items() if f"{name}_blocks" not in packed} | packed
    folder.mkdir(parents=True)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    checkpoints.write_json(folder / "config.json", settings)
    checkpoints.write_tokenizer(folder)
    return logits


def _config(settings: dict[str, Any], is_rounded: bool = False) -> Any:
    import transformers

    ours = {k: v for k, v in settings.items() if k not in ("rope_scaling", "rope_theta", "quantization_config")}
    rope = {**settings["rope_scaling"], "rope_theta": settings["rope_theta"], "truncate": is_rounded}
    return transformers.GptOssConfig(**ours, rope_parameters=rope, dtype="float32")


def _model(settings: dict[str, Any]) -> Any:
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    import torch
    import transformers

    torch.manual_seed(3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of transformers about itself
        model = transformers.GptOssForCausalLM(_config(settings))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.copy_(families._random(torch, name, weight, False).bfloat16())  # what the file will hold
    return model.eval()


def _pack(torch: Any, name: str, weight: Any, packed: dict[str, Any]) -> None:
    """Random blocks, which the weight becomes the numbers of."""
    from transformers.integrations.mxfp4 import convert_moe_packed_tensors

    experts, columns, rows = weight.shape
    blocks = torch.randint(0, 256, (experts, rows, columns // 32, 16), dtype=torch.uint8)
    scales = torch.randint(122, 125, (experts, rows, columns // 32), dtype=torch.uint8)
    with torch.no_grad():
        weight.copy_(convert_moe_packed_tensors(blocks, scales, dtype=torch.float32))
    packed |= {f"{name}_blocks": blocks, f"{name}_scales": scales}


def _logits(settings: dict[str, Any], model: Any, is_rounded: bool) -> np.ndarray:
    import transformers

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = transformers.GptOssForCausalLM(_config(settings, is_rounded))
    other.load_state_dict(model.state_dict())
    return families._logits(other.eval())
