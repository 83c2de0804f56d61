"""What is seen of a download under way."""

import math
from dataclasses import dataclass, field

from app.downloads.trouble import shown_size

SMOOTHING_SECONDS = 3.0  # a change of speed shows within about that time


@dataclass(frozen=True, slots=True)
class Transfer:
    """bytes_done: of all files, with what lay there already. The last two are None while nothing is known of them."""

    bytes_done: int
    bytes_total: int
    bytes_per_second: float | None
    seconds_left: float | None
    text: str  # what happens now, a few words
    is_hindered: bool = False  # then the text says by what

    @property
    def line(self) -> str:
        """Bytes, speed and time left, as far as they are known; what hinders it stands in place of the last two."""
        parts = [_shown_part(self.bytes_done, self.bytes_total)]
        if self.is_hindered:
            parts.append(self.text)
        elif self.bytes_per_second is not None:
            parts.append(f"{shown_size(round(self.bytes_per_second))}/s")
            if self.seconds_left is not None:
                parts.append(f"{shown_time(self.seconds_left)} left")
        return " · ".join(parts)


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


def shown_time(seconds: float) -> str:
    """In the largest unit of which there are two or more, rounded up: nobody is told that nothing is left."""
    for unit, length in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds > 2 * length:
            return f"{math.ceil(seconds / length)} {unit}"
    return f"{max(1, math.ceil(seconds))} s"


def _shown_part(done: int, total: int) -> str:
    """The unit is said once where it is the same."""
    part, whole = shown_size(done), shown_size(total)
    number, unit = part.split()
    return f"{number if whole.endswith(unit) else part} of {whole}"
