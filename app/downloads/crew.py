"""The threads that fetch: a few at a time, the first failure ends them all. Knows no progress."""

import threading
import time
from collections import deque
from collections.abc import Sequence
from queue import Empty, SimpleQueue

from app.downloads.fetch import Fetch

LEAVE_SECONDS = 0.7  # a thread that still looks up a name then is left behind; it touches no file any more


class Crew:
    """A context manager: leaving it ends what still runs."""

    def __init__(self, fetches: Sequence[Fetch], num_connections: int):
        self._fetches = fetches
        self._waiting = deque(fetches)
        self._ended: SimpleQueue[Exception | None] = SimpleQueue()
        self._num_left = len(fetches)
        self._is_leaving = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, name="download", daemon=True)
            for _ in range(min(num_connections, len(fetches)))
        ]

    @property
    def num_left(self) -> int:
        return self._num_left

    def wait(self, seconds: float) -> bool:
        """True once all is there. Raises what a fetch has raised."""
        try:
            failure = self._ended.get(timeout=seconds) if self._num_left else None
        except Empty:
            return False
        if failure is not None:
            raise failure
        self._num_left = max(0, self._num_left - 1)
        return self._num_left == 0

    def __enter__(self) -> "Crew":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_leaving.set()
        for fetch in self._fetches:
            fetch.abort()
        until = time.monotonic() + LEAVE_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _work(self) -> None:
        while not self._is_leaving.is_set():
            try:
                fetch = self._waiting.popleft()  # atomic: each fetch goes to one thread
            except IndexError:
                return
            try:
                fetch.run()
            except Exception as failure:  # the edge of the thread: handed on
                self._ended.put(failure)
                return
            self._ended.put(None)
