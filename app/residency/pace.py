"""How long a model keeps its place while another one waits for it, and how long that one waits. Values only."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """In seconds, or in times of a model's own load.

    Two programs that take turns with two models, of which only one has room, would have most of the time spent on
    loading. An idle model is therefore kept for as long as its load took: that costs at most twice what the best choice
    would, had one known the future (the ski-rental problem). A busy one takes requests for some more times.
    """

    rest: float = 1.0  # times of its load
    work: float = 4.0
    least: float = 0.1  # of either
    most: float = 30.0
    wait: float = 120.0  # a program's request for a model that finds no room; longer waits end with a refusal
    pressing: float = 20.0  # then idle models that must go with a busy one take no more requests
    unwanted: float = 5.0  # a load that nobody waits for any more

    def resting(self, load_seconds: float) -> float:
        return self._bounded(self.rest * load_seconds)

    def working(self, load_seconds: float) -> float:
        return self._bounded(self.work * load_seconds)

    def _bounded(self, seconds: float) -> float:
        return min(max(seconds, self.least), self.most)
