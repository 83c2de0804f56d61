"""What a checkpoint can become with one click, and about how large that is. Needs no importance matrix, no file."""

from app.hub.repository import Repository, Variant

# bits per weight over a whole 8 B model, as llama.cpp's tools/quantize/README.md measures them
BITS_PER_WEIGHT = {
    "Q4_K_M": 4.89,
    "Q5_K_M": 5.70,
    "Q6_K": 6.56,
    "Q8_0": 8.50,
    "Q3_K_M": 4.00,
    "BF16": 16.0,
}
DEFAULT = "Q4_K_M"
HEADER_BYTES = 6_000_000  # vocabulary and settings
STAYS_PACKED = ("gpt_oss",)  # architectures that are trained in MXFP4, which no conversion changes
PACKED_BITS, FLOAT_BITS = 4.25, 16.0


def predicted_bytes(repository: Repository, variant: Variant, quantization: str) -> int:
    """Of the model file. Without a number of parameters the weights count as 16 bits each."""
    weights = repository.parameters or variant.bytes // 2
    packed = _packed(weights, variant.bytes) if repository.architecture in STAYS_PACKED else 0.0
    bits = packed * PACKED_BITS + (weights - packed) * BITS_PER_WEIGHT[quantization]
    return int(bits / 8) + HEADER_BYTES


def _packed(weights: int, num_bytes: int) -> float:
    """How many of a checkpoint's weights are packed, if all others have 16 bits."""
    return min(max((weights * FLOAT_BITS - num_bytes * 8) / (FLOAT_BITS - PACKED_BITS), 0.0), float(weights))
