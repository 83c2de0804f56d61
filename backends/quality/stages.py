"""One progress out of several passes over a model, each with its share by how long it takes."""

from collections.abc import Sequence

TEXT, CHOICES, NOISE = 1.0, 1.5, 1.0  # relative times on the shipped text and items


class Stages:
    def __init__(self, weights: Sequence[float]):
        self._weights = weights
        self._index = 0

    def next(self) -> tuple[float, float]:
        """Begin and end of the pass that comes now, of 0 to 1."""
        total = sum(self._weights) or 1.0
        begin = sum(self._weights[: self._index]) / total
        self._index += 1
        return begin, sum(self._weights[: self._index]) / total
