"""Tiny random checkpoints, as transformers would save them. One per architecture, made in milliseconds."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace("{1,3}", "")
CHATML = (
    "{%- for message in messages %}{{ '<|im_start|>' + message.role + '\\n' + message.content"
    " + '<|im_end|>\\n' }}{%- endfor %}"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEXTS = [
    "The quick brown fox doesn't jump over 12345 lazy dogs; they've slept, hasn't it?",
    "Grüße aus München: l'été à la plage, español, Ελληνικά, русский текст, 日本語の文章, 한국어.",
    "def f(x):\n    return x ** 2\n\n\n# 3.14159\tand 1,000,000\r\n",
    "🙂🙃 emoji 👩‍👩‍👧 and symbols ©®™ §§ --- === !!! ...",
] * 3
VOCAB_SIZE = 640  # rows of the embedding: more than the tokenizer fills, as in real checkpoints


def config(architecture: str = "LlamaForCausalLM", **changes: Any) -> dict[str, Any]:
    return {
        "architectures": [architecture],
        "hidden_size": 256,
        "intermediate_size": 512,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "vocab_size": VOCAB_SIZE,
        "tie_word_embeddings": False,
        "hidden_act": "silu",
        **changes,
    }


def weights(settings: dict[str, Any], seed: int = 0) -> dict[str, np.ndarray]:
    """Random float32 tensors under transformers' names. Norms are near one, so that a mistake shows."""
    random = np.random.default_rng(seed)
    hidden, wide = settings["hidden_size"], settings["intermediate_size"]
    head = settings.get("head_dim") or hidden // settings["num_attention_heads"]
    query, key = settings["num_attention_heads"] * head, settings["num_key_value_heads"] * head
    architecture = settings["architectures"][0]

    def matrix(*shape: int) -> np.ndarray:
        return (random.standard_normal(shape) * shape[-1] ** -0.5).astype(np.float32)

    def vector(size: int, middle: float = 1.0) -> np.ndarray:
        return (middle + 0.2 * random.standard_normal(size)).astype(np.float32)

    tensors = {"model.embed_tokens.weight": matrix(settings["vocab_size"], hidden) * 8}
    for layer in range(settings["num_hidden_layers"]):
        block = {
            "input_layernorm.weight": vector(hidden),
            "self_attn.q_proj.weight": matrix(query, hidden) * 2,
            "self_attn.k_proj.weight": matrix(key, hidden) * 2,
            "self_attn.v_proj.weight": matrix(key, hidden),
            "self_attn.o_proj.weight": matrix(hidden, query),
            "post_attention_layernorm.weight": vector(hidden),
            "mlp.gate_proj.weight": matrix(wide, hidden),
            "mlp.up_proj.weight": matrix(wide, hidden),
            "mlp.down_proj.weight": matrix(hidden, wide),
        }
        if architecture == "Qwen2ForCausalLM" or settings.get("attention_bias"):
            block |= {
                "self_attn.q_proj.bias": vector(query, 0.0),
                "self_attn.k_proj.bias": vector(key, 0.0),
                "self_attn.v_proj.bias": vector(key, 0.0),
            }
        if architecture == "Qwen3ForCausalLM":
            block |= {"self_attn.q_norm.weight": vector(head), "self_attn.k_norm.weight": vector(head)}
        tensors |= {f"model.layers.{layer}.{name}": value for name, value in block.items()}
    tensors["model.norm.weight"] = vector(hidden)
    if not settings["tie_word_embeddings"]:
        tensors["lm_head.weight"] = matrix(settings["vocab_size"], hidden)
    return tensors


def tokenizer(kind: str = "qwen2") -> Tokenizer:
    """A small byte-level BPE. kind: what llama.cpp calls its pre-tokenizer."""
    made = Tokenizer(models.BPE(ignore_merges=kind == "llama-bpe"))
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=kind in ("gpt-2", "smollm"))
    first = {
        "qwen2": lambda: pre_tokenizers.Split(Regex(QWEN2), behavior="isolated"),
        "llama-bpe": lambda: pre_tokenizers.Split(Regex(LLAMA3), behavior="isolated"),
        "smaug-bpe": lambda: pre_tokenizers.Split(Regex(LLAMA3), behavior="isolated"),
        "smollm": lambda: pre_tokenizers.Digits(individual_digits=True),
        "gpt-2": None,
    }[kind]
    made.pre_tokenizer = pre_tokenizers.Sequence([first(), byte_level]) if first else byte_level
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=SPECIAL,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    made.train_from_iterator(TEXTS, trainer)
    if kind == "llama-bpe":  # Llama 3 begins every text with its first special token
        made.post_processor = processors.TemplateProcessing(
            single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)]
        )
    return made


def write(
    folder: Path, settings: dict[str, Any] | None = None, kind: str = "qwen2", **tensors: np.ndarray
) -> dict[str, np.ndarray]:
    """Writes a whole checkpoint folder and returns its tensors. Tensors given by name replace the random ones."""
    settings = settings or config()
    folder.mkdir(parents=True, exist_ok=True)
    values = {**weights(settings), **tensors}
    save_file(values, folder / "model.safetensors", metadata={"format": "pt"})
    write_json(folder / "config.json", settings)
    write_tokenizer(folder, kind)
    return values


def write_tokenizer(folder: Path, kind: str = "qwen2") -> None:
    tokenizer(kind).save(str(folder / "tokenizer.json"))
    bos = SPECIAL[0] if kind == "llama-bpe" else None
    write_json(
        folder / "tokenizer_config.json",
        {"bos_token": bos, "eos_token": "<|im_end|>", "pad_token": SPECIAL[0], "chat_template": CHATML},
    )


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


def change_json(path: Path, **changes: Any) -> None:
    write_json(path, {**json.loads(path.read_text(encoding="utf-8")), **changes})
