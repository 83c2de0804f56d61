"""The widest numbers that native code takes: beyond them it divides by zero, allocates without end, or counts anew.

The port's and the commands' own ranges are narrower; these hold for whoever else sends a request or a load.
"""

import math

from backends.engine.runner import LoadError, PromptError
from backends.kv_layout import MAX_BATCH, MAX_SLOTS, MIN_BATCH
from backends.protocol import EngineOptions, FailureKind, SamplingParams

OPTION_RANGES = {
    "context": (1, 2**31 - 1),
    "parallel": (1, MAX_SLOTS),
    "gpu_layers": (0, 10_000),
    "threads": (1, 1024),
    "batch": (MIN_BATCH, MAX_BATCH),
    "micro_batch": (MIN_BATCH, MAX_BATCH),
    "draft_length": (0, 64),
    "kv_idle_seconds": (0, 2**31),
    "prompt_cache_ram": (0, 2**60),
    "prompt_cache_disk": (0, 2**60),
}

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


def check_options(options: EngineOptions) -> None:
    """Raises LoadError that names the number."""
    for name, (low, high) in OPTION_RANGES.items():
        value = getattr(options, name)
        if value is not None and not low <= value <= high:
            raise LoadError(FailureKind.BAD_REQUEST, f"{name} must lie between {low} and {high}, not at {value}.")


def check_ranges(params: SamplingParams, num_tokens: int) -> None:
    """Raises PromptError that names the number. num_tokens: of the vocabulary."""
    for name, (low, high) in RANGES.items():
        value = getattr(params, name)
        if value is not None and not low <= value <= high:  # NaN lies nowhere
            raise PromptError(
                FailureKind.BAD_REQUEST, f"{name} must lie between {low} and {high}, not at {value}.", name
            )
    for token, bias in params.logit_bias:
        if not 0 <= token < num_tokens:
            sentence = f"logit_bias names token {token}; this model's lie between 0 and {num_tokens - 1}."
            raise PromptError(FailureKind.BAD_REQUEST, sentence, "logit_bias")
        if not math.isfinite(bias):
            sentence = f"logit_bias of token {token} must be a finite number."
            raise PromptError(FailureKind.BAD_REQUEST, sentence, "logit_bias")
