"""The definitions, in float64 and without any cleverness."""

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]


def log_softmax(logits: np.ndarray) -> Doubles:
    rows = logits.astype(np.float64)
    rows = rows - rows.max(axis=1, keepdims=True)
    return np.asarray(rows - np.log(np.exp(rows).sum(axis=1, keepdims=True)))


def divergences(reference: np.ndarray, candidate: np.ndarray) -> Doubles:
    """KL(reference || candidate) of every row."""
    p, q = log_softmax(reference), log_softmax(candidate)
    return np.asarray((np.exp(p) * (p - q)).sum(axis=1))


def pair(num_rows: int, num_tokens: int, scale: float, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits of a reference and of a candidate that is off by Gaussian noise. scale: how peaked they are."""
    random = np.random.default_rng(seed)
    reference = (scale * random.standard_normal((num_rows, num_tokens))).astype(np.float32)
    return reference, (reference + noise * random.standard_normal(reference.shape)).astype(np.float32)
