"""What chunks of prompts cost, learnt from steps that read them.

A chunk of n tokens behind d others is taken to cost fixed + n token + n (d + n / 2) pair: the weights are read, each
token is computed, and each pair of a token with one before it. The three are learnt by a Kalman filter, which knows of
each how sure it is: what tokens cost is not forgotten while a prompt is deep.
"""

from math import sqrt

import numpy as np
import numpy.typing as npt

FIRST_GUESS = (0.008, 0.001, 0.000001)  # seconds: fixed, token, pair; the first step says how far off all of them are
LEAST = 0.01  # of that

Amounts = npt.NDArray[np.float64]  # chunks, their tokens, and the pairs of these with those before them
Chunk = tuple[int, int]  # tokens, and how many the prompt has before them


def amounts(chunks: list[tuple[float, int]] | list[Chunk]) -> Amounts:
    num_tokens = sum(n for n, _ in chunks)
    return np.array([len(chunks), num_tokens, sum(n * (depth + n / 2) for n, depth in chunks)])


class ChunkCosts:
    """Seconds of the three parts."""

    def __init__(self, drift: float) -> None:
        """drift: what each part may change from one step to the next, relative."""
        self._drift = drift
        self._parts: Amounts = np.array(FIRST_GUESS)
        self._doubt: Amounts = np.zeros((3, 3))  # their covariance
        self.is_known = False  # a step has been seen

    @property
    def parts(self) -> tuple[float, float, float]:
        """Fixed, token, pair."""
        fixed, token, pair = self._parts.tolist()
        return fixed, token, pair

    def seconds(self, of: Amounts) -> float:
        return float(of @ self._parts)

    def doubt(self, of: Amounts) -> float:
        """The deviation of `seconds`, relative."""
        return sqrt(of @ self._doubt @ of) / self.seconds(of)

    def learn(self, of: Amounts, seconds: float, noise: float) -> None:
        """These took so long, give or take `noise` seconds; the first time that is the scale of all parts."""
        if not self.is_known:
            self._parts *= max(seconds / self.seconds(of), LEAST)
            self._doubt = np.diag(self._parts**2)
            self.is_known = True
            return
        self._doubt += np.diag((self._drift * self._parts) ** 2)
        doubts = self._doubt @ of
        gain = doubts / (of @ doubts + noise**2)
        self._doubt -= np.outer(gain, doubts)
        self._parts = np.maximum(self._parts + gain * (seconds - self.seconds(of)), 1e-12)
