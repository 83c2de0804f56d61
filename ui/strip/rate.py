"""Tokens per second over the last second. Knows no Qt."""

from collections import deque

WINDOW = 1.0


class RateWindow:
    def __init__(self, seconds: float = WINDOW):
        self._seconds = seconds
        self._counts: deque[tuple[float, int]] = deque()
        self._start: float | None = None

    def restart(self, now: float) -> None:
        self._counts.clear()
        self._start = now

    def add(self, now: float, num_tokens: int) -> None:
        self._counts.append((now, num_tokens))

    def rate(self, now: float) -> float | None:
        """None until the first tokens are in: there is nothing to divide yet."""
        while self._counts and self._counts[0][0] <= now - self._seconds:
            self._counts.popleft()
        if self._start is None:
            return None
        span = min(self._seconds, now - self._start)
        total = sum(count for _, count in self._counts)
        return total / span if span > 0.05 and total else None
