"""KL divergence of a candidate's predictions from a reference's, position by position, in nats.

Where the reference kept only a part of its vocabulary, the kept-for-certain tokens C count as they are, and the rest T
is estimated. With r = q/p, Σ p·(-log r) over T is Σ p·(r - 1 - log r) + P - Q: the first sum has small terms of one
sign, so few samples estimate it well, and Q, the candidate's mass there, is known exactly. Tokens that the candidate
calls likely (q > τ, the set B) are taken out of that, because a few of them could outweigh all samples.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from backends.quality.reference import LEAST_LOG_P, Rows
from backends.quality.sampling import Kept, Sampling
from backends.quality.softmax import Doubles, Floats, Ids, Softmax

# three times what is kept for certain: whoever is louder without being kept is far off indeed
LOUD = 4.0


@dataclass(frozen=True, slots=True)
class Scores:
    """Of n positions. nll: negative log likelihood of the token that came. kld and variance (of its estimate), base_nll
    and is_same_top are empty without a reference."""

    nll: Doubles
    kld: Doubles
    variance: Doubles
    base_nll: Doubles
    is_same_top: npt.NDArray[np.bool_]


class Comparer:
    """Scores a candidate's logits. One per thread: it owns buffers."""

    def __init__(self, sampling: Sampling):
        self._sampling = sampling
        self._softmax = Softmax(sampling.num_tokens)
        self._difference = np.empty(sampling.num_tokens, np.float32)
        self._loud = LOUD / sampling.budget  # τ

    def score(self, logits: Floats, targets: npt.NDArray[np.int32], reference: Rows | None) -> Scores:
        """logits: [n, vocabulary]; targets: [n]."""
        num_rows = len(logits)
        normalizers = np.empty(num_rows)
        found: list[tuple[float, float]] = []
        kept = list(reference.kept()) if reference else []
        for i, row in enumerate(logits):
            self._softmax.of(row)
            normalizers[i] = self._softmax.normalizer
            if reference:
                found.append(self._whole(row, kept[i].log_p) if reference.is_full else self._part(row, kept[i]))
        nll = normalizers - logits[np.arange(num_rows), targets]
        empty = np.empty(0)
        if reference is None:
            return Scores(nll, empty, empty, empty, np.empty(0, np.bool_))
        kld, variance = np.array(found, np.float64).reshape(num_rows, 2).T
        return Scores(nll, kld, variance, -reference.targets.astype(np.float64), _same(logits, reference.tops))

    def _whole(self, row: Floats, log_p: Floats) -> tuple[float, float]:
        """Exact; float32 is enough, because the differences are small."""
        p, difference = self._softmax.weights, self._difference
        np.subtract(row, np.float32(self._softmax.normalizer), out=difference)
        np.maximum(difference, np.float32(LEAST_LOG_P), out=difference)  # 0 times infinity is nothing here
        np.subtract(log_p, difference, out=difference)
        np.exp(log_p, out=p)
        return float(p @ difference), 0.0

    def _part(self, row: Floats, kept: Kept) -> tuple[float, float]:
        """The estimate, and its variance by the lots drawn."""
        log_p = kept.log_p.astype(np.float64)
        log_q = np.maximum(row[kept.ids] - self._softmax.normalizer, LEAST_LOG_P)
        p, q = np.exp(log_p), np.exp(log_q)
        chances = self._sampling.chances(p)
        is_certain = chances >= 1
        certain = float((p * (log_p - log_q))[is_certain].sum())
        rest_p = 1.0 - float(p[is_certain].sum())
        rest_q = self._quiet_mass() - float(q[is_certain & (q <= self._loud)].sum())
        is_drawn = ~is_certain
        log_r, chance = (log_q - log_p)[is_drawn], chances[is_drawn]
        r_minus_1 = np.where(q[is_drawn] <= self._loud, np.expm1(log_r), -1.0)
        terms = p[is_drawn] * (r_minus_1 - log_r) / chance
        return certain + float(terms.sum()) + rest_p - rest_q, float(((1 - chance) * terms**2).sum())

    def _quiet_mass(self) -> float:
        """The candidate's probability of all tokens that it does not call likely."""
        weights, total = self._softmax.weights, self._softmax.total
        loud = weights[np.flatnonzero(weights > np.float32(self._loud * total))]
        return 1.0 - float(loud.sum(dtype=np.float64)) / total


def _same(logits: Floats, tops: Ids) -> npt.NDArray[np.bool_]:
    return np.asarray(logits.argmax(axis=1) == tops)


def join(parts: list[Scores]) -> Scores:
    names = ("nll", "kld", "variance", "base_nll", "is_same_top")
    return Scores(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
