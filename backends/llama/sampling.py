"""Chooses a token from one row of logits: sparse edits, a cut to the best few, then llama.cpp's samplers on these.

No filter of llama.cpp sees the whole vocabulary, because each costs a pass over it. Filters stand in llama.cpp's
order; those that it places before top-k (DRY) see the best 1024.
"""

import ctypes
import secrets
from typing import TYPE_CHECKING, Any

import numpy as np

from backends.llama import quick
from backends.llama.binding import lib
from backends.llama.candidates import Ids, Row, best
from backends.llama.grammars import GrammarError
from backends.llama.penalties import Penalties, edits_rows
from backends.llama.ranges import check_ranges
from backends.protocol import SamplingParams

if TYPE_CHECKING:
    from backends.llama.grammar import Matcher

CUT = 1024  # candidates kept when no top-k asks for fewer: beyond them lies no probability worth a pass
CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])  # llama_token_data
LEAST = float(np.finfo(np.float32).min)  # of all but −inf
MAX_DRAWS = 16  # at one place
MIROSTAT_M = 100  # tokens that estimate the slope, as in llama.cpp


class ChainSampler:
    """One answer's sampler. Random numbers, recent tokens and mirostat's estimate are its state, so that it sees
    each position once, in order: then a seed gives the same text in any batch, with drafts and without."""

    def __init__(self, params: SamplingParams, tokens: list[int], chain: "Chain | None", matcher: "Matcher | None"):
        self._penalties = Penalties(params, tokens)
        self._chain = chain
        self._matcher = matcher

    def sample(self, row: Row) -> int:
        """The next token. `row` is a view of the model's logits, changed in place. Raises GrammarError."""
        self._penalties.apply(row)
        token = self._draw(row)
        if self._matcher and not self._matcher.take(token):
            token = self._draw_allowed(row, self._matcher)
        self._penalties.remember(token)
        if self._chain:
            self._chain.accept(token)
        return token

    def close(self) -> None:
        if self._chain:
            self._chain.close()
            self._chain = None

    def _draw(self, row: Row, ids: Ids | None = None) -> int:
        """`ids` name the tokens of a row that is not the whole vocabulary."""
        if self._chain:
            return self._chain.draw(row, ids)
        first = int(row.argmax())
        return first if ids is None else int(ids[first])

    def _draw_allowed(self, row: Row, matcher: "Matcher") -> int:
        for _ in range(MAX_DRAWS):  # what was refused is not allowed again, and in the end one token is
            ids = matcher.allowed()
            token = self._draw(row[ids], ids)
            if matcher.take(token):
                return token
        raise GrammarError("The grammar contradicts itself here.")


class Chain:
    """llama.cpp's samplers on the best candidates of a row."""

    def __init__(self, params: SamplingParams, tokens: list[int], vocab: Any, context: int):
        self._params = params
        self._pointer = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
        num_tokens: int = lib.llama_vocab_n_tokens(vocab)
        dry = _dry(params, vocab, context)
        self._has_dry = dry is not None
        wants_all = self._has_dry or params.mirostat  # what comes before top-k, or instead of it
        self._cut = min(max(params.top_k, CUT) if wants_all else params.top_k or CUT, num_tokens)
        if dry:
            _add(self._pointer, dry)
            for token in tokens[-_dry_window(params, context) :]:
                lib.llama_sampler_accept(self._pointer, token)
        for stage in _stages(params, num_tokens, after_dry=self._has_dry):
            _add(self._pointer, stage)
        buffer = np.empty(self._cut, CANDIDATE)
        self._ids, self._logits = buffer["id"], buffer["logit"]  # views, made once
        self._array = lib.llama_token_data_array()
        self._array_reference = ctypes.byref(self._array)
        self._data = buffer.ctypes.data_as(lib.llama_token_data_p)

    def draw(self, row: Row, names: Ids | None = None) -> int:
        """One random choice; remembers nothing but its random numbers. `names`: the tokens of the row, if not all."""
        ids, logits = best(row, min(self._cut, row.size))
        ids = ids if names is None else names[ids]
        least = self._least(row, logits)
        # they are sorted: where the last one stays, all do
        size = logits.size if logits[-1] >= least else max(1, int(np.count_nonzero(logits >= least)))
        self._ids[:size] = ids[:size]
        self._logits[:size] = logits[:size]
        array = self._array
        array.data, array.size, array.selected, array.sorted = self._data, size, -1, True
        quick.sampler_apply(self._pointer, self._array_reference)
        # a sampler may have moved the start or sorted anew, so it is asked where its choice stands
        return int(array.data[array.selected].id) if array.selected >= 0 else int(ids[0])

    def accept(self, token: int) -> None:
        if self._has_dry:
            quick.sampler_accept(self._pointer, token)

    def close(self) -> None:
        if self._pointer:
            lib.llama_sampler_free(self._pointer)
            self._pointer = None

    def _least(self, row: Row, logits: Row) -> float:
        """Top-nσ (Tang et al. 2024) keeps what lies within n deviations of all logits below the best."""
        if self._params.top_n_sigma is None:
            return LEAST
        return float(logits[0] - self._params.top_n_sigma * row[np.isfinite(row)].std())


def sampler(
    params: SamplingParams, tokens: list[int], vocab: Any, context: int, matcher: "Matcher | None" = None
) -> ChainSampler | None:
    """None for plain greedy, which numpy does for all rows at once. Raises PromptError for numbers out of range."""
    check_ranges(params, lib.llama_vocab_n_tokens(vocab))
    is_greedy = params.temperature <= 0
    has_dry = params.dry_multiplier > 0
    if is_greedy and not has_dry and not edits_rows(params) and not matcher:
        return None
    chain = None if is_greedy and not has_dry else Chain(params, tokens, vocab, context)
    return ChainSampler(params, tokens, chain, matcher)


def _stages(params: SamplingParams, num_tokens: int, after_dry: bool) -> list[Any]:
    """In llama.cpp's order; the candidates come cut to top-k and sorted, unless DRY has moved them."""
    if params.temperature <= 0:
        return [lib.llama_sampler_init_greedy()]
    # its greatest number means a random seed to llama.cpp
    seed = secrets.randbits(32) if params.seed is None else params.seed % lib.LLAMA_DEFAULT_SEED
    temperature = lib.llama_sampler_init_temp(params.temperature)
    if params.mirostat == 1:
        tau, eta = params.mirostat_tau, params.mirostat_eta
        return [temperature, lib.llama_sampler_init_mirostat(num_tokens, seed, tau, eta, MIROSTAT_M)]
    if params.mirostat == 2:
        return [temperature, lib.llama_sampler_init_mirostat_v2(seed, params.mirostat_tau, params.mirostat_eta)]
    stages = []
    if after_dry:
        stages.append(lib.llama_sampler_init_top_k(min(params.top_k or CUT, num_tokens)))
    if params.typical_p < 1:
        stages.append(lib.llama_sampler_init_typical(params.typical_p, 1))
    if params.top_p < 1:
        stages.append(lib.llama_sampler_init_top_p(params.top_p, 1))
    if params.min_p > 0:
        stages.append(lib.llama_sampler_init_min_p(params.min_p, 1))
    if params.xtc_probability > 0:
        stages.append(lib.llama_sampler_init_xtc(params.xtc_probability, params.xtc_threshold, 1, seed))
    return [*stages, temperature, lib.llama_sampler_init_dist(seed)]


def _dry(params: SamplingParams, vocab: Any, context: int) -> Any | None:
    """The DRY sampler (p-e-w 2024), or None when it is off."""
    if params.dry_multiplier <= 0 or not (window := _dry_window(params, context)):
        return None
    breakers = [text.encode() for text in params.dry_sequence_breakers]
    return lib.llama_sampler_init_dry(
        vocab,
        params.dry_multiplier,
        params.dry_base,
        params.dry_allowed_length,
        window,
        (ctypes.c_char_p * len(breakers))(*breakers),
        len(breakers),
    )


def _dry_window(params: SamplingParams, context: int) -> int:
    return context if params.dry_penalty_last_n is None else min(params.dry_penalty_last_n, context)


def _add(chain: Any, stage: Any) -> None:
    lib.llama_sampler_chain_add(chain, stage)
