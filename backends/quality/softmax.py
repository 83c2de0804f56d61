"""From logits to probabilities, a row at a time, so that all of it stays in the processor's cache."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Ids = npt.NDArray[np.uint32]


class Softmax:
    """One row's probabilities. Its buffer is reused: `weights` holds the last row's until the next call of `of`."""

    def __init__(self, num_tokens: int):
        self.weights = np.empty(num_tokens, np.float32)  # probability times `total`
        self.total = 1.0
        self.normalizer = 0.0  # a logit less this is the logarithm of its probability

    def of(self, logits: Floats) -> None:
        largest = logits.max()
        np.subtract(logits, largest, out=self.weights)
        np.exp(self.weights, out=self.weights)
        self.total = float(self.weights.sum(dtype=np.float64))
        self.normalizer = float(largest) + float(np.log(self.total))
