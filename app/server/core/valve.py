"""Holds answers back while their reader does not read: what lies ready is bounded, and engines compute for others."""

import threading
from collections.abc import Callable

from app.server.core.threads import start_thread
from backends.protocol import CallBegun, Output

# bytes that may lie unread, about as many as the system and the connection hold beside them
SHUT_AT, OPEN_AT = 64 << 10, 16 << 10
OUTPUT_BYTES, CHANCE_BYTES = 64, 100  # what an output and each alternative to a token take beside their text


def cost(output: Output) -> int:
    """Bytes that it takes, roughly. Asked for with every token, of which most are text alone."""
    if not (output.logprobs or output.parts):
        return OUTPUT_BYTES + len(output.text)
    chances = sum(1 + len(logprob.alternatives) for logprob in output.logprobs)
    parts = sum(OUTPUT_BYTES + (0 if isinstance(part, CallBegun) else len(part.text)) for part in output.parts)
    return OUTPUT_BYTES + len(output.text) + parts + CHANCE_BYTES * chances


class Valve:
    """Belongs to the loop. `pause` and `resume` are called on threads, as the way to an engine may be full."""

    def __init__(self, pause: Callable[[], None], resume: Callable[[], None]):
        self._pause = pause
        self._resume = resume
        self._unread = 0
        self._shut_at = SHUT_AT
        self._is_shut = False
        self._lock = threading.Lock()  # two threads in a row: the later word must be the last

    def add(self, num_bytes: int) -> None:
        self._unread += num_bytes
        if self._unread > self._shut_at:  # again and again, if it goes on: an engine knows no answer before it is read
            self._shut_at = self._unread + SHUT_AT
            self._turn(True)

    def take(self, num_bytes: int) -> None:
        self._unread -= num_bytes
        if self._is_shut and self._unread < OPEN_AT:
            self._shut_at = SHUT_AT
            self._turn(False)

    def repeat(self) -> None:
        """More answers have been asked for meanwhile: they wait as well."""
        if self._is_shut:
            self._turn(True)

    def _turn(self, is_shut: bool) -> None:
        self._is_shut = is_shut
        try:
            start_thread(self._tell)
        except RuntimeError:  # the system has no thread left; an engine that is never told would wait for ever
            self._tell()

    def _tell(self) -> None:
        with self._lock:
            (self._pause if self._is_shut else self._resume)()
