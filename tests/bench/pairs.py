"""Paired measurements: A B B A, both started anew each time, medians of the ratios. An A/A pair shows what equal is."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Figures = dict[str, float]
Measure = Callable[[], Figures]


@dataclass(slots=True)
class Comparison:
    """Of two measures, figure by figure."""

    a: str
    b: str
    runs: dict[str, list[Figures]] = field(default_factory=dict)

    def ratios(self, figure: str) -> list[float]:
        """A over B, pair by pair."""
        pairs = zip(self.runs[self.a], self.runs[self.b], strict=True)
        return [a[figure] / b[figure] for a, b in pairs if b[figure]]

    def row(self, figure: str) -> dict[str, Any]:
        ratios = self.ratios(figure)
        return {
            "figure": figure,
            self.a: statistics.median(run[figure] for run in self.runs[self.a]),
            self.b: statistics.median(run[figure] for run in self.runs[self.b]),
            "ratio": statistics.median(ratios),
            "lowest": min(ratios),
            "highest": max(ratios),
            "pairs": len(ratios),
        }

    def rows(self) -> list[dict[str, Any]]:
        return [self.row(figure) for figure in self.runs[self.a][0]]


def compare(a: tuple[str, Measure], b: tuple[str, Measure], num_pairs: int) -> Comparison:
    """Measure the two in turn, the order changing from pair to pair."""
    (a_name, measure_a), (b_name, measure_b) = a, b
    comparison = Comparison(a_name, b_name, {a_name: [], b_name: []})
    for pair in range(num_pairs):
        order = [(a_name, measure_a), (b_name, measure_b)]
        for name, measure in order if pair % 2 == 0 else reversed(order):
            comparison.runs[name].append(measure())
    return comparison
