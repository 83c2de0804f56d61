"""The forward pass of Llama, Mistral, Qwen2 and Qwen3 in plain numpy, written from transformers' modeling files."""

import math
from typing import Any

import numpy as np


def logits(settings: dict[str, Any], tensors: dict[str, np.ndarray], tokens: list[int]) -> np.ndarray:
    """(tokens, vocabulary), one causal pass in float64."""
    w = {name: value.astype(np.float64) for name, value in tensors.items()}
    epsilon = settings["rms_norm_eps"]
    x = w["model.embed_tokens.weight"][tokens]
    for layer in range(settings["num_hidden_layers"]):
        p = f"model.layers.{layer}."
        x = x + _attention(settings, w, p, _norm(x, w[p + "input_layernorm.weight"], epsilon))
        h = _norm(x, w[p + "post_attention_layernorm.weight"], epsilon)
        gate = h @ w[p + "mlp.gate_proj.weight"].T
        x = x + (gate / (1 + np.exp(-gate)) * (h @ w[p + "mlp.up_proj.weight"].T)) @ w[p + "mlp.down_proj.weight"].T
    head = w["model.embed_tokens.weight"] if settings["tie_word_embeddings"] else w["lm_head.weight"]
    return _norm(x, w["model.norm.weight"], epsilon) @ head.T


def _attention(settings: dict[str, Any], w: dict[str, np.ndarray], p: str, h: np.ndarray) -> np.ndarray:
    n, heads, kv_heads = len(h), settings["num_attention_heads"], settings["num_key_value_heads"]
    q, k, v = (
        (h @ w[f"{p}self_attn.{s}_proj.weight"].T + w.get(f"{p}self_attn.{s}_proj.bias", 0.0)).reshape(n, count, -1)
        for s, count in (("q", heads), ("k", kv_heads), ("v", kv_heads))
    )
    if f"{p}self_attn.q_norm.weight" in w:
        q = _norm(q, w[f"{p}self_attn.q_norm.weight"], settings["rms_norm_eps"])
        k = _norm(k, w[f"{p}self_attn.k_norm.weight"], settings["rms_norm_eps"])
    angles = np.outer(np.arange(n), frequencies(settings, q.shape[-1]))
    q, k = _rotate(q, angles), _rotate(k, angles)
    k, v = (np.repeat(t, heads // kv_heads, axis=1) for t in (k, v))
    scores = np.einsum("qhd,khd->hqk", q, k) / math.sqrt(q.shape[-1])
    scores = np.where(np.tri(n, dtype=bool), scores, -np.inf)
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    mixed = np.einsum("hqk,khd->qhd", scores / scores.sum(-1, keepdims=True), v)
    return mixed.reshape(n, -1) @ w[p + "self_attn.o_proj.weight"].T


def frequencies(settings: dict[str, Any], head: int) -> np.ndarray:
    """transformers modeling_rope_utils.py: default, linear and llama3, frequency by frequency."""
    rope = settings.get("rope_parameters") or settings.get("rope_scaling") or {}
    theta = rope.get("rope_theta", settings.get("rope_theta"))
    plain = [theta ** -(i / head) for i in range(0, head, 2)]
    if rope.get("rope_type") == "linear":
        return np.array([f / rope["factor"] for f in plain])
    if rope.get("rope_type") != "llama3":
        return np.array(plain)
    original, low, high = (
        rope[key] for key in ("original_max_position_embeddings", "low_freq_factor", "high_freq_factor")
    )
    scaled = []
    for f in plain:
        length = 2 * math.pi / f
        if length < original / high:
            scaled.append(f)
        elif length > original / low:
            scaled.append(f / rope["factor"])
        else:
            smooth = (original / length - low) / (high - low)
            scaled.append((1 - smooth) * f / rope["factor"] + smooth * f)
    return np.array(scaled)


def _rotate(x: np.ndarray, angles: np.ndarray) -> np.ndarray:
    cos, sin = (np.concatenate([t, t], -1)[:, None] for t in (np.cos(angles), np.sin(angles)))
    left, right = np.split(x, 2, axis=-1)
    return x * cos + np.concatenate([-right, left], -1) * sin


def _norm(x: np.ndarray, weight: np.ndarray, epsilon: float) -> np.ndarray:
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + epsilon) * weight
