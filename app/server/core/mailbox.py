"""Brings events from an engine's reader thread to the server's loop: one wake-up for all that come together."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress

_log = logging.getLogger(__name__)


class Mailbox:
    """Made on the loop. A step says something to every stream, and a wake-up costs more than a letter."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._letters: deque[Callable[[], None]] = deque()
        self._is_called = False

    def post(self, letter: Callable[[], None]) -> None:
        """From any thread: have it called on the loop, after all that were posted before."""
        self._letters.append(letter)
        if not self._is_called:
            self._is_called = True
            with suppress(RuntimeError):  # the loop is closed: the server was stopped
                self._loop.call_soon_threadsafe(self._empty)

    def _empty(self) -> None:
        self._is_called = False  # before the look: what is posted from now on calls again
        while self._letters:
            letter = self._letters.popleft()
            try:
                letter()
            except Exception:  # the edge: those behind it are for others
                _log.exception("a letter could not be read")
