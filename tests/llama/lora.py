"""Writes random LoRA adapters for a tiny model, and the model that has the same change in its weights."""

import shutil
from pathlib import Path
from typing import Any

import gguf
import numpy as np

RANK, ALPHA = 4, 8.0
WEIGHTS = ("blk.0.attn_q.weight", "blk.0.ffn_down.weight", "blk.1.attn_v.weight", "output.weight", "token_embd.weight")
Pair = tuple[np.ndarray, np.ndarray]


def pairs(model: Path, seed: int, names: tuple[str, ...] = WEIGHTS) -> dict[str, Pair]:
    """A [rank, in] and B [out, rank] for each weight; of the embedding A is [vocabulary, rank]."""
    random = np.random.default_rng(seed)
    found: dict[str, Pair] = {}
    for tensor in gguf.GGUFReader(model).tensors:
        if tensor.name in names:
            outer, inner = tensor.data.shape
            if tensor.name == "token_embd.weight":
                outer, inner = inner, outer
            a = random.standard_normal((RANK, inner)).astype(np.float32) * 0.3
            b = random.standard_normal((outer, RANK)).astype(np.float32) * 0.3
            found[tensor.name] = (a.T.copy() if tensor.name == "token_embd.weight" else a, b)
    return found


def write(path: Path, changes: dict[str, Pair], architecture: str = "llama", **settings: Any) -> Path:
    """settings replace what the header says; dots are written as two underscores."""
    writer = gguf.GGUFWriter(path, architecture)
    values = {"general__type": "adapter", "adapter__type": "lora", "adapter__lora__alpha": ALPHA, **settings}
    for key, value in values.items():
        add = writer.add_string if isinstance(value, str) else writer.add_float32
        add(key.replace("__", "."), value)
    for name, (a, b) in changes.items():
        writer.add_tensor(f"{name}.lora_a", a)
        writer.add_tensor(f"{name}.lora_b", b)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def merge(model: Path, target: Path, *changes: tuple[dict[str, Pair], float]) -> Path:
    """A copy of an F32 model with the changes, each times its scale, in its weights."""
    shutil.copy(model, target)
    for tensor in gguf.GGUFReader(target, "r+").tensors:
        for change, scale in changes:
            if tensor.name in change:
                a, b = change[tensor.name]
                product = a @ b.T if tensor.name == "token_embd.weight" else b @ a
                tensor.data[:] += np.float32(scale * ALPHA / RANK) * product
    return target
