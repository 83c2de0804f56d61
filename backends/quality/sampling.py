"""Which probabilities of a large vocabulary are kept, so that sums over all of it can be told from these.

Token i is kept with the chance min(1, budget · (¾ pᵢ + ¼ / vocabulary)) (Poisson sampling; Horvitz and Thompson, 1952):
whatever is likely is always kept, the rest by lot, each standing for 1 / chance like it. So a peaked distribution is
kept whole, but for next to nothing, and a flat one is estimated without bias. A fixed number of the most likely ones
would miss half of a flat one. The even quarter bounds the weight of tokens that a damaged candidate makes likely.
"""

from dataclasses import dataclass

import numpy as np

from backends.quality.softmax import Doubles, Floats, Ids, Softmax

EVEN_SHARE = 0.25
BUDGET_SHARE = 0.0098  # of the vocabulary; at 8 bytes each, just below 2 % of the full logits in float32
MIN_BUDGET = 256
SMALL_VOCABULARY = 4096  # kept whole: its full logits are small, and a fiftieth of them would say little


@dataclass(frozen=True, slots=True)
class Sampling:
    """budget: how many tokens of a position are kept at most, on the average."""

    num_tokens: int
    budget: int

    @classmethod
    def of(cls, num_tokens: int) -> "Sampling":
        budget = num_tokens if num_tokens <= SMALL_VOCABULARY else int(num_tokens * BUDGET_SHARE)
        return cls(num_tokens, max(MIN_BUDGET, budget))

    @property
    def is_full(self) -> bool:
        """Nothing is left to lots: by then they would save little."""
        return self.budget >= self.num_tokens / 4

    def chances(self, probabilities: Doubles) -> Doubles:
        return np.minimum(1.0, self.budget * ((1 - EVEN_SHARE) * probabilities + EVEN_SHARE / self.num_tokens))


class Lots:
    """Draws the tokens to keep. One vector of random numbers serves all rows, each from another place in it."""

    def __init__(self, sampling: Sampling, seed: int):
        self._sampling = sampling
        self._random = np.random.default_rng(seed)
        # evenly spread, in a random order: a vector that happened to be low would keep too many in every row
        once = ((self._random.permutation(sampling.num_tokens) + 0.5) / sampling.num_tokens).astype(np.float32)
        self._numbers = np.concatenate([once, once])
        self._chances = np.empty(sampling.num_tokens, np.float32)

    def draw(self, softmax: Softmax) -> Ids:
        """Ascending ids of the tokens kept, of the row that softmax holds."""
        sampling = self._sampling
        begin = int(self._random.integers(sampling.num_tokens))
        scale = np.float32(sampling.budget * (1 - EVEN_SHARE) / softmax.total)
        np.multiply(softmax.weights, scale, out=self._chances)
        self._chances += np.float32(sampling.budget * EVEN_SHARE / sampling.num_tokens)
        kept = np.flatnonzero(self._chances > self._numbers[begin : begin + sampling.num_tokens])
        return kept.astype(np.uint32)


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of one position: ascending token ids and the logarithms of their probabilities."""

    ids: Ids
    log_p: Floats
