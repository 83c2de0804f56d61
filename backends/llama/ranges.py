"""The widest numbers that the samplers take: beyond them native code divides by zero, or allocates without end.

The port's own ranges are narrower; these hold for whoever else sends a request.
"""

import math

from backends.engine.runner import PromptError
from backends.protocol import FailureKind, SamplingParams

RANGES = {
    "temperature": (0, 1000),
    "top_k": (0, math.inf),
    "top_p": (0, 1),
    "min_p": (0, 1),
    "typical_p": (0, 1),
    "top_n_sigma": (0, 1e6),
    "xtc_probability": (0, 1),
    "xtc_threshold": (0, 1),
    "dry_multiplier": (0, 1000),
    "dry_base": (1, 1000),
    "dry_allowed_length": (0, 2**20),
    "dry_penalty_last_n": (0, 2**20),
    "mirostat": (0, 2),
    "mirostat_tau": (0, 1000),
    "mirostat_eta": (0, 1000),
    "repeat_penalty": (0.01, 1000),
    "presence_penalty": (-1e6, 1e6),
    "frequency_penalty": (-1e6, 1e6),
    "penalty_last_n": (0, 2**20),
}


def check_ranges(params: SamplingParams, num_tokens: int) -> None:
    """Raises PromptError that names the number. num_tokens: of the vocabulary."""
    for name, (low, high) in RANGES.items():
        value = getattr(params, name)
        if value is not None and not low <= value <= high:  # NaN lies nowhere
            raise PromptError(FailureKind.BAD_REQUEST, f"{name} must lie between {low} and {high}, not at {value}.")
    for token, bias in params.logit_bias:
        if not 0 <= token < num_tokens:
            sentence = f"logit_bias names token {token}; this model's lie between 0 and {num_tokens - 1}."
            raise PromptError(FailureKind.BAD_REQUEST, sentence)
        if not math.isfinite(bias):
            raise PromptError(FailureKind.BAD_REQUEST, f"logit_bias of token {token} must be a finite number.")
