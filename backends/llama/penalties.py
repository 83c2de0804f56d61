"""Sparse edits of one row of logits: a bias for chosen tokens, and penalties for those said lately."""

from collections import Counter, deque

import numpy as np

from backends.llama.candidates import Row
from backends.protocol import SamplingParams


class Penalties:
    """Stateful: remembers one answer's recent tokens, the prompt's end included."""

    def __init__(self, params: SamplingParams, tokens: list[int]):
        self._params = params
        size = params.penalty_last_n if _has_penalties(params) else 0
        self._recent = deque(tokens[-size:] if size else [], size)
        self._counts = Counter(self._recent)
        self._biased = np.array([token for token, _ in params.logit_bias], np.int64)
        self._biases = np.array([bias for _, bias in params.logit_bias], np.float32)

    @property
    def may_edit(self) -> bool:
        return bool(self._biased.size or self._recent.maxlen)

    def apply(self, row: Row) -> None:
        """Changes the row in place. Bias first, as in llama.cpp."""
        if self._biased.size:
            row[self._biased] += self._biases
        if self._counts:
            self._penalize(row)

    def remember(self, token: int) -> None:
        if not self._recent.maxlen:
            return
        if len(self._recent) == self._recent.maxlen:
            oldest = self._recent[0]
            self._counts[oldest] -= 1
            if not self._counts[oldest]:
                del self._counts[oldest]
        self._recent.append(token)
        self._counts[token] += 1

    def _penalize(self, row: Row) -> None:
        """Keskar et al. 2019 (repeat) and OpenAI's presence and frequency penalties."""
        params = self._params
        tokens = np.fromiter(self._counts.keys(), np.int64)
        counts = np.fromiter(self._counts.values(), np.float32)
        logits = row[tokens]
        logits = np.where(logits > 0, logits / params.repeat_penalty, logits * params.repeat_penalty)
        row[tokens] = logits - counts * params.frequency_penalty - params.presence_penalty


def edits_rows(params: SamplingParams) -> bool:
    return bool(params.logit_bias) or _has_penalties(params)


def _has_penalties(params: SamplingParams) -> bool:
    is_neutral = params.repeat_penalty == 1 and params.presence_penalty == 0 and params.frequency_penalty == 0
    return params.penalty_last_n > 0 and not is_neutral
