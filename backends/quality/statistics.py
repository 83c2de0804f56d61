"""What many positions say together, by the definitions of llama.cpp's tools/perplexity."""

from math import exp, sqrt

import numpy as np

from backends.measurement import Divergence
from backends.quality.divergence import Scores
from backends.quality.softmax import Doubles

TWO_SIGMA = 2.0


def mean_and_error(values: Doubles) -> tuple[float, float]:
    """With one standard error of the mean, the positions taken as independent."""
    error = float(values.std()) / sqrt(max(1, len(values) - 1))
    return float(values.mean()), error


def perplexity(nll: Doubles) -> tuple[float, float]:
    mean, error = mean_and_error(nll)
    return exp(mean), exp(mean) * error


def divergence(scores: Scores) -> Divergence:
    mean, error = mean_and_error(scores.kld)
    num_rows = len(scores.kld)
    same = float(scores.is_same_top.mean())
    return Divergence(
        mean=mean,
        error=error,
        p99=float(np.percentile(scores.kld, 99)),
        maximum=float(scores.kld.max()),
        same_top=same,
        same_top_error=sqrt(same * (1 - same) / max(1, num_rows - 1)),
        approximation=TWO_SIGMA * sqrt(float(scores.variance.sum())) / num_rows,
    )
