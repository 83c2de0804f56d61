"""Calls functions at their time, on one thread. They must be quick: each holds up the next."""

import heapq
import logging
import threading
import time
from collections.abc import Callable
from itertools import count

_log = logging.getLogger(__name__)


class Alarm:
    """Thread-safe. Its thread starts with the first call and ends with `close`, after which nothing is called."""

    def __init__(self) -> None:
        # a condition: the thread sleeps until the earliest time, which a new call may bring forward
        self._changed = threading.Condition()
        self._calls: list[tuple[float, int, float | None, Callable[[], None]]] = []
        self._numbers = count()
        self._is_closed = False
        self._thread: threading.Thread | None = None

    def after(self, seconds: float, function: Callable[[], None]) -> None:
        self._add(seconds, None, function)

    def every(self, seconds: float, function: Callable[[], None]) -> None:
        self._add(seconds, seconds, function)

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            self._calls.clear()
            self._changed.notify()
            thread = self._thread
        if thread and thread is not threading.current_thread():
            thread.join()

    def _add(self, seconds: float, period: float | None, function: Callable[[], None]) -> None:
        with self._changed:
            if self._is_closed:
                return
            heapq.heappush(self._calls, (time.monotonic() + seconds, next(self._numbers), period, function))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="alarm", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _run(self) -> None:
        while (function := self._next()) is not None:
            try:
                function()
            except Exception:  # the edge: one that fails must not silence the others
                _log.exception("a call at its time failed")

    def _next(self) -> Callable[[], None] | None:
        """The next that is due, when it is; None at the end."""
        with self._changed:
            while not self._is_closed:
                left = self._calls[0][0] - time.monotonic() if self._calls else None
                if left is None or left > 0:
                    self._changed.wait(left)
                    continue
                _, _, period, function = heapq.heappop(self._calls)
                if period is not None:
                    self._add(period, period, function)
                return function
        return None
