"""Tokens a second of all of an engine's answers together, from what its accounts say at two times."""

import time
from collections import deque

from backends.protocol import Stats

WINDOW = 2.0  # seconds


class Speed:
    """Belongs to the thread that reads the engine."""

    def __init__(self) -> None:
        self._counts: deque[tuple[float, int]] = deque()

    def next(self, stats: Stats, now: float | None = None) -> float | None:
        """None while nothing is answered, and before there are two accounts of it."""
        now = time.monotonic() if now is None else now
        if not stats.num_running:
            self._counts.clear()
            return None
        while self._counts and (now - self._counts[0][0] > WINDOW or self._counts[0][1] > stats.num_tokens):
            self._counts.popleft()
        self._counts.append((now, stats.num_tokens))
        (first, before), (last, after) = self._counts[0], self._counts[-1]
        return (after - before) / (last - first) if last > first else None
