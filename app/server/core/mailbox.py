"""Brings events from an engine's reader thread to the server's loop: one wake-up for all that come together."""

import asyncio
import logging
from collections import deque
from contextlib import suppress
from typing import Any, Protocol

_log = logging.getLogger(__name__)


class Reader(Protocol):
    """Whom letters are for: an Inbox. Called on the loop, outside of any task."""

    def put(self, index: int, event: Any) -> None: ...

    def ring(self) -> None:
        """That is all for now."""


class Mailbox:
    """Made on the loop. A step says something to every stream, and a wake-up costs more than a letter."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._letters: deque[tuple[Reader, int, Any]] = deque()
        self._is_called = False

    def post(self, reader: Reader, index: int, event: Any) -> None:
        """From any thread, which does not wait: have it put on the loop, after all that were posted before."""
        self._letters.append((reader, index, event))
        if not self._is_called:
            self._is_called = True
            with suppress(RuntimeError):  # the loop is closed: the server was stopped
                self._loop.call_soon_threadsafe(self._empty)

    def _empty(self) -> None:
        self._is_called = False  # before the look: what is posted from now on calls again
        readers: dict[Reader, None] = {}
        while self._letters:
            reader, index, event = self._letters.popleft()
            readers[reader] = None
            try:
                reader.put(index, event)
            except Exception:  # the edge: those behind it are for others
                _log.exception("a letter could not be read")
        for reader in readers:
            reader.ring()
