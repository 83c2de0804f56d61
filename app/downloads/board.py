"""Adds up what the fetches of one download have: bytes, speed, time left, and what is the matter."""

import time
from collections.abc import Sequence

from app.downloads.fetch import Fetch
from app.downloads.transfer import Rate, Transfer

QUIET_SECONDS = 5.0  # without a byte: then it is said
HOPELESS = 1.0  # bytes per second: no time left can be told


class Board:
    """`look` at it with the time now, in order."""

    def __init__(self, fetches: Sequence[Fetch]):
        self._fetches = fetches
        self._total = sum(fetch.source.bytes for fetch in fetches)
        self._received = 0
        self._heard = time.monotonic()
        self._rate = Rate(self._heard)

    def look(self, now: float, num_left: int) -> Transfer:
        received = sum(fetch.received for fetch in self._fetches)
        if received > self._received:
            self._heard = now
        self._rate.add(now, received - self._received)
        self._received = received
        done = sum(fetch.kept for fetch in self._fetches)
        speed = self._rate.per_second if received else None
        left = (self._total - done) / speed if speed is not None and speed > HOPELESS else None
        trouble = self._trouble(num_left, now - self._heard)
        return Transfer(done, self._total, speed, left, trouble or self._text(num_left), is_hindered=bool(trouble))

    def _trouble(self, num_left: int, quiet: float) -> str:
        troubles = [text for fetch in self._fetches if (text := fetch.text)]
        if troubles:
            return troubles[0][:1].upper() + troubles[0][1:]
        return f"Nothing has come for {quiet:.0f} s" if num_left and quiet > QUIET_SECONDS else ""

    def _text(self, num_left: int) -> str:
        if len(self._fetches) == 1:
            return f"Downloading {self._fetches[0].target.name}"
        return f"{len(self._fetches) - num_left} of {len(self._fetches)} files downloaded"
