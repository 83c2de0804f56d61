"""Makes a real checkpoint of SmolLM2 again out of its GGUF file, as transformers reads that: the way back from GGUF.

The weights are those of the Q4_1 file, so they cost quality once more, but vocabulary, merges, template and shapes are
the published ones. What the format cannot hold is set as HuggingFaceTB/SmolLM2-135M-Instruct publishes it.
"""

import json
from pathlib import Path
from typing import Any

DIGITS = {"type": "Digits", "individual_digits": True}
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
# a GGUF file has one name for all of it ("smollm"), and transformers takes GPT-2's splitter whatever the name
PUBLISHED = {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [DIGITS, BYTE_LEVEL]}, "post_processor": None}
SETTINGS = {
    "add_prefix_space": False,
    "bos_token": "<|im_start|>",
    "eos_token": "<|im_end|>",
    "pad_token": "<|im_end|>",
    "unk_token": "<|endoftext|>",
    "model_max_length": 8192,
    "tokenizer_class": "GPT2Tokenizer",
    "vocab_size": 49152,
}
GENERATION = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2}


def write_checkpoint(model: Path, folder: Path) -> None:
    """Of the GGUF file `model`: config.json, generation_config.json, model.safetensors (BF16), tokenizer, template."""
    folder.mkdir(parents=True)
    _write_tokenizer(model, folder)
    _write_weights(model, folder)
    _write(folder / "generation_config.json", GENERATION)


def _write_tokenizer(model: Path, folder: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model.parent, gguf_file=model.name)
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    document = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    _write(folder / "tokenizer.json", {**document, **PUBLISHED})
    _write(folder / "tokenizer_config.json", {**SETTINGS, "chat_template": tokenizer.chat_template})


def _write_weights(model: Path, folder: Path) -> None:
    """Its own reading of the file, since `from_pretrained` asks for accelerate."""
    import torch
    from safetensors.torch import save_file
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    config = AutoConfig.from_pretrained(model.parent, gguf_file=model.name)
    config.architectures, config.dtype = ["LlamaForCausalLM"], "bfloat16"
    with torch.device("meta"):
        empty = AutoModelForCausalLM.from_config(config)
    tensors = load_gguf_checkpoint(str(model), return_tensors=True, model_to_load=empty, torch_dtype=torch.bfloat16)[
        "tensors"
    ]
    tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    settings = {key: value for key, value in config.to_diff_dict().items() if not key.startswith("_")}
    _write(folder / "config.json", {**settings, "rms_norm_eps": 1e-5})  # a float of 32 bits in the file


def _write(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
