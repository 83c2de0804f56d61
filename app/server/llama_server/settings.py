"""How an answer was made, in llama-server's words: `generation_settings`, and what holds where nothing is said."""

from collections.abc import Sequence
from typing import Any

from app.server.llama_server.biases import NEVER
from backends.protocol import Generate, GrammarKind

SAMPLERS = ["penalties", "dry", "top_n_sigma", "top_k", "typ_p", "top_p", "min_p", "xtc", "temperature"]
RANDOM_SEED = 2**32 - 1  # llama.cpp's word for a new one each time


def generation_settings(
    wanted: Generate, ends: Sequence[int] = (), *, streams: bool = False, times_tokens: bool = False
) -> dict[str, Any]:
    """ends: the tokens that end an answer."""
    sampling = wanted.sampling
    limit = -1 if wanted.max_tokens is None else wanted.max_tokens
    ignored = [(token, NEVER) for token in ends] if wanted.ignore_eos else []
    is_gbnf = wanted.grammar is not None and wanted.grammar.kind is GrammarKind.GBNF
    return {
        "seed": RANDOM_SEED if sampling.seed is None else sampling.seed,
        "temperature": sampling.temperature,
        "dynatemp_range": 0.0,
        "dynatemp_exponent": 1.0,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "min_p": sampling.min_p,
        "top_n_sigma": -1.0 if sampling.top_n_sigma is None else sampling.top_n_sigma,
        "xtc_probability": sampling.xtc_probability,
        "xtc_threshold": sampling.xtc_threshold,
        "typical_p": sampling.typical_p,
        "repeat_last_n": sampling.penalty_last_n,
        "repeat_penalty": sampling.repeat_penalty,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "dry_multiplier": sampling.dry_multiplier,
        "dry_base": sampling.dry_base,
        "dry_allowed_length": sampling.dry_allowed_length,
        "dry_penalty_last_n": -1 if sampling.dry_penalty_last_n is None else sampling.dry_penalty_last_n,
        "dry_sequence_breakers": list(sampling.dry_sequence_breakers),
        "mirostat": sampling.mirostat,
        "mirostat_tau": sampling.mirostat_tau,
        "mirostat_eta": sampling.mirostat_eta,
        "adaptive_target": -1.0,  # off
        "adaptive_decay": 0.9,
        "stop": list(wanted.stop),
        "max_tokens": limit,
        "n_predict": limit,
        "n_keep": 0,
        "n_discard": 0,
        "ignore_eos": wanted.ignore_eos,
        "stream": streams,
        "logit_bias": [{"token": token, "bias": _bias(bias)} for token, bias in (*sampling.logit_bias, *ignored)],
        "n_probs": wanted.logprobs or 0,
        "min_keep": 0,
        "grammar": wanted.grammar.text if wanted.grammar and is_gbnf else "",
        "samplers": SAMPLERS,
        "timings_per_token": times_tokens,
        "post_sampling_probs": wanted.after_filters,
        "lora": [{"id": place, "scale": scale} for place, scale in wanted.adapters or ()],
    }


def _bias(bias: float) -> float | None:
    """null is JSON's word for −∞ here."""
    return None if bias <= NEVER else bias
