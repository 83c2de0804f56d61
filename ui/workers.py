"""A few threads that work for the window. One that hangs costs its place, never the window's end. Knows no Qt."""

import threading
import time
from collections.abc import Callable
from queue import SimpleQueue

Work = Callable[[], None]


class Workers:
    """Works are done in the order of `submit`, and must not raise. The threads start with the first."""

    def __init__(self, count: int):
        self._count = count
        self._works: SimpleQueue[Work | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._is_closed = False

    def submit(self, work: Work) -> None:
        """By one thread, which also closes. After that, nothing is done any more."""
        if self._is_closed:
            return
        while len(self._threads) < self._count:
            # daemons: Python would wait at its end for any other, and with it for a disk that does not answer
            thread = threading.Thread(target=self._run, name=f"window-worker-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._works.put(work)

    def close(self, seconds: float) -> None:
        """Drop what waits; return when what is at work has ended, or the time is over."""
        self._is_closed = True
        while not self._works.empty():
            self._works.get()
        for _ in self._threads:
            self._works.put(None)
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _run(self) -> None:
        while work := self._works.get():
            work()
