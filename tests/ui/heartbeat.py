"""How long the window's event loop was away at most, measured by a timer of its own."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from PySide6.QtCore import QTimer

INTERVAL_MS = 10


class Heartbeat:
    def __init__(self) -> None:
        self.longest = 0.0  # seconds between two beats
        self._last = time.perf_counter()
        self._timer = QTimer(interval=INTERVAL_MS)
        self._timer.timeout.connect(self.beat)
        self._timer.start()

    def beat(self) -> None:
        now = time.perf_counter()
        self.longest = max(self.longest, now - self._last)
        self._last = now

    def stop(self) -> None:
        self.beat()
        self._timer.stop()


@contextmanager
def heartbeat() -> Iterator[Heartbeat]:
    beat = Heartbeat()
    try:
        yield beat
    finally:
        beat.stop()
