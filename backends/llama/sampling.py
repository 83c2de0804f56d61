"""Chooses a token from one row of logits: sparse edits, a cut to the best few, then llama.cpp's samplers on these.

No filter of llama.cpp sees the whole vocabulary, because each costs a pass over it. Filters stand in llama.cpp's
order; those that it places before top-k (DRY) see the best 1024.
"""

import ctypes
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from backends.llama import quick
from backends.llama.binding import lib
from backends.llama.candidates import CANDIDATE, Candidates, Ids, Row
from backends.llama.grammars import GrammarError
from backends.llama.penalties import Penalties, edits_rows
from backends.llama.ranges import check_ranges
from backends.protocol import SamplingParams

if TYPE_CHECKING:
    from backends.llama.grammar import Matcher

CUT = 1024  # candidates kept when no top-k asks for fewer: beyond them lies no probability worth a pass
SIZE = CANDIDATE.itemsize
MAX_DRAWS = 16  # at one place
MIROSTAT_M = 100  # tokens that estimate the slope, as in llama.cpp


@dataclass(frozen=True, slots=True)
class Left:
    """The tokens that a draw could choose among, and their logits then."""

    ids: Ids
    values: Row


class ChainSampler:
    """One answer's sampler. Random numbers, recent tokens and mirostat's estimate are its state, so that it sees
    each position once, in order: then a seed gives the same text in any batch, with drafts and without.

    `cut`: of how many candidates it chooses; None: it takes the best of all. `edits`: whether `edit` does anything.
    `left`: what the last token was drawn from, if `tells_left`; None: nothing was drawn, it was the best.
    """

    def __init__(self, params: SamplingParams, tokens: list[int], chain: "Chain | None", matcher: "Matcher | None"):
        self._penalties = Penalties(params, tokens)
        self._chain = chain
        self._matcher = matcher
        self.cut = chain.cut if chain else None
        self.tells_left = False
        self.left: Left | None = None
        self.edit, self.edits = self._penalties.apply, self._penalties.may_edit

    def sample(self, row: Row) -> int:
        """The next token. `row` is a view of the model's logits, changed in place. Raises GrammarError."""
        self.edit(row)
        if not self.cut:
            return self._take(int(row.argmax()), row)
        candidates = Candidates(row.reshape(1, -1), self.cut)
        candidates.find()
        return self.choose(candidates, 0)

    def choose(self, candidates: Candidates, at: int) -> int:
        """The next token, of the candidates of a row that it has edited. Raises GrammarError."""
        assert self._chain
        token = self._chain.draw(candidates, at)
        if self.tells_left:
            self.left = self._chain.left(candidates)
        return self._take(token, candidates.rows[at])

    @property
    def is_hurried(self) -> bool:
        return self._matcher is not None and self._matcher.is_hurried

    def close(self) -> None:
        if self._chain:
            self._chain.close()
            self._chain = None

    def _take(self, token: int, row: Row) -> int:
        """This one, or else one that the grammar allows."""
        if self._matcher and not self._matcher.take(token):
            token = self._allowed(row, self._matcher)
        self._penalties.remember(token)
        if self._chain:
            self._chain.accept(token)
        return token

    def _allowed(self, row: Row, matcher: "Matcher") -> int:
        for _ in range(MAX_DRAWS):  # what was refused is not allowed again, and in the end one token is
            ids = matcher.allowed()
            token = int(ids[self._place(row[ids])])
            if self.left:
                self.left = Left(ids[self.left.ids], self.left.values)
            if matcher.take(token):
                return token
        raise GrammarError("The grammar contradicts itself here.")

    def _place(self, values: Row) -> int:
        """Of the one that is chosen among the logits of some tokens."""
        if not self._chain:
            return int(values.argmax())
        candidates = Candidates(values.reshape(1, -1), self._chain.cut)
        candidates.find()
        place = self._chain.draw(candidates, 0)
        if self.tells_left:
            self.left = self._chain.left(candidates)
        return place


class Chain:
    """llama.cpp's samplers on the best candidates of a row."""

    def __init__(self, params: SamplingParams, tokens: list[int], vocab: Any, context: int):
        self._params = params
        self._pointer = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
        num_tokens: int = lib.llama_vocab_n_tokens(vocab)
        dry = _dry(params, vocab, context)
        self._has_dry = dry is not None
        wants_all = self._has_dry or params.mirostat  # what comes before top-k, or instead of it
        self.cut = min(max(params.top_k, CUT) if wants_all else params.top_k or CUT, num_tokens)
        if dry:
            _add(self._pointer, dry)
            for token in tokens[-_dry_window(params, context) :]:
                lib.llama_sampler_accept(self._pointer, token)
        else:
            _add(self._pointer, lib.llama_sampler_init_top_k(self.cut))
        for stage in _stages(params, num_tokens, after_dry=self._has_dry):
            _add(self._pointer, stage)
        self._array = quick.TokenArray()
        self._reference = ctypes.byref(self._array)

    def draw(self, candidates: Candidates, at: int) -> int:
        """One random choice among those of a row; remembers nothing but its random numbers."""
        begin, end = candidates.ends[at - 1] if at else 0, candidates.ends[at]
        if self._params.top_n_sigma is not None:
            end = self._cut_deviating(candidates, at, begin, end, self._params.top_n_sigma)
        array, address = self._array, candidates.address
        array.data, array.size, array.selected = address + SIZE * begin, end - begin, -1
        array.sorted = candidates.is_sorted
        quick.sampler_apply(self._pointer, self._reference)
        # samplers sort in place, and may move the start
        token: int = candidates.ids.item((array.data - address) // SIZE + max(array.selected, 0))
        return token

    def left(self, candidates: Candidates) -> Left:
        """What the last draw has chosen among, and the temperature has been at. A greedy one has no choice."""
        begin = (self._array.data - candidates.address) // SIZE
        end = begin + self._array.size
        if self._params.temperature <= 0:
            begin += max(self._array.selected, 0)
            end = begin + 1
        return Left(candidates.ids[begin:end].astype(np.intp), candidates.values[begin:end].copy())

    def accept(self, token: int) -> None:
        if self._has_dry:
            quick.sampler_accept(self._pointer, token)

    def close(self) -> None:
        if self._pointer:
            lib.llama_sampler_free(self._pointer)
            self._pointer = None

    @staticmethod
    def _cut_deviating(candidates: Candidates, at: int, begin: int, end: int, sigmas: float) -> int:
        """Top-nσ (Tang et al. 2024) keeps what lies within n deviations of all logits below the best. The new end."""
        ids, values, row = candidates.ids[begin:end], candidates.values[begin:end], candidates.rows[at]
        kept = np.flatnonzero(values >= values.max() - sigmas * row[np.isfinite(row)].std())
        if not kept.size:  # the best is no number
            return end
        ids[: kept.size], values[: kept.size] = ids[kept], values[kept]
        return begin + kept.size


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
    """In llama.cpp's order; the candidates come cut to top-k, unless DRY has moved them."""
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
