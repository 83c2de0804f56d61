"""How long the window's event loop was away at most, measured by a timer of its own: by the clock, for benchmarks, and
in the processor's time, for tests, which a busy machine makes no longer."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from PySide6.QtCore import QTimer

INTERVAL_MS = 10


class Heartbeat:
    def __init__(self) -> None:
        self.longest = 0.0  # seconds between two beats
        self.busiest = 0.0  # seconds of the window's thread between two beats
        self._last, self._last_work = time.perf_counter(), time.thread_time()
        self._timer = QTimer(interval=INTERVAL_MS)
        self._timer.timeout.connect(self.beat)
        self._timer.start()

    def beat(self) -> None:
        now, work = time.perf_counter(), time.thread_time()
        self.longest = max(self.longest, now - self._last)
        self.busiest = max(self.busiest, work - self._last_work)
        self._last, self._last_work = now, work

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
