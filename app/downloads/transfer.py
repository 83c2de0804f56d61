"""What is seen of a download under way."""

import math
from dataclasses import dataclass, field

SMOOTHING_SECONDS = 3.0  # a change of speed shows within about that time


@dataclass(frozen=True, slots=True)
class Transfer:
    """bytes_done: of all files, with what lay there already. The last two are None while nothing is known of them."""

    bytes_done: int
    bytes_total: int
    bytes_per_second: float | None
    seconds_left: float | None
    text: str  # what happens now, a few words


@dataclass(slots=True)
class Rate:
    """An exponentially smoothed speed. Stalls pull it to zero, they do not freeze it."""

    began: float
    _last: float = field(init=False)
    _weight: float = 0.0
    _sum: float = 0.0

    def __post_init__(self) -> None:
        self._last = self.began

    def add(self, now: float, num_bytes: int) -> None:
        """num_bytes came since the last call."""
        seconds = now - self._last
        if seconds <= 0:
            return
        kept = math.exp(-seconds / SMOOTHING_SECONDS)
        self._sum = self._sum * kept + num_bytes / seconds * (1 - kept)
        self._weight = self._weight * kept + (1 - kept)
        self._last = now

    @property
    def per_second(self) -> float | None:
        return self._sum / self._weight if self._weight else None
