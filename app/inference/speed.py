"""Tokens a second of all of an engine's answers together, from what its accounts say at two times."""

import time
from collections import deque

from backends.protocol import Stats

SECONDS = 1.0  # over which it is told


class Speed:
    """Of one process. Belongs to the thread that reads it."""

    def __init__(self) -> None:
        self._known: deque[tuple[float, Stats]] = deque()

    def next(self, stats: Stats, now: float | None = None) -> float | None:
        """By the time between the tokens that follow another: the first one's is its prompt's. None while nothing is
        answered, and before there are two accounts of it."""
        now = time.monotonic() if now is None else now
        self._known.append((now, stats))
        while len(self._known) > 1 and self._known[1][0] <= now - SECONDS:
            self._known.popleft()
        before = self._known[0][1]
        return per_second(stats.num_following - before.num_following, stats.following_us - before.following_us)


def per_second(count: int, micros: int) -> float | None:
    return 1e6 * count / micros if count > 0 and micros > 0 else None
