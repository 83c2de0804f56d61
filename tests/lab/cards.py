"""Pretended cards: figures as an 8B model's are known to be."""

from typing import Any

from app.lab.card import Card, Reference
from backends.measurement import Choices, Divergence, Evaluation, Noise, Speed

FULL_BYTES = 16_070_000_000


def speed(decode: float = 20.0, **changes: Any) -> Speed:
    values: dict[str, Any] = {
        "load_seconds": 1.25,
        "prompt_per_second": 10 * decode,
        "decode_per_second": decode,
        "memory_bytes": 5_000_000_000,
        "vram_bytes": None,
        "device": "CPU",
        "threads": 8,
        "build": "llama.cpp b1",
    }
    return Speed(**(values | changes))


def evaluation(mean: float, same_top: float, kv_type: str = "f16", context: int = 512) -> Evaluation:
    kld = Divergence(mean, mean / 50, mean * 12, mean * 90, same_top, 0.003)
    accuracy = 0.72 - mean / 2
    choices = Choices(accuracy, accuracy - 0.063, accuracy + 0.057, 208, 140.0, 0.721, 0.97 - mean)
    noise = Noise(0.0021, 0.0001, 0.971, 0.184, 1020, "without flash attention, in batches of 32")
    return Evaluation(7.1 + mean, 0.05, 4096, context, kv_type, kv_type, 61.0, kld, 7.0, 118.0, choices, noise)


def card(quantization: str = "Q4_K_M", **changes: Any) -> Card:
    values: dict[str, Any] = {
        "identity": f"identity of {quantization}",
        "name": f"Tiny Chat 8B {quantization}",
        "quantization": quantization,
        "bytes": 4_920_000_000,
        "bits_per_weight": 4.89,
        "machine": "A fast processor, 8 cores",
        "made": "2026-11-22T10:00:00+00:00",
        "speed": speed(),
        "evaluation": evaluation(0.0313, 0.932),
        "reference": Reference("tiny-chat-8b-F16", "F16", FULL_BYTES, speed(6.5)),
    }
    return Card(**(values | changes))


def family() -> list[Card]:
    """One model in many sizes."""
    rows = (
        ("Q8_0", 8.54e9, 8.50, 0.0014, 0.988, 11.8),
        ("Q6_K", 6.60e9, 6.56, 0.0055, 0.973, 14.9),
        ("Q5_K_M", 5.73e9, 5.70, 0.0108, 0.961, 17.2),
        ("Q4_K_M", 4.92e9, 4.89, 0.0313, 0.932, 20.1),
        ("Q4_0", 4.66e9, 4.60, 0.0719, 0.895, 23.4),
        ("Q3_K_M", 4.02e9, 4.00, 0.1012, 0.874, 21.5),
        ("Q2_K", 3.18e9, 3.16, 0.3340, 0.761, 24.9),
    )
    return [
        card(type_, bytes=int(size), bits_per_weight=bits, evaluation=evaluation(kld, same), speed=speed(rate))
        for type_, size, bits, kld, same, rate in rows
    ]
