"""Writes one engine's pipe on a thread of its own: whoever asks for an answer hands the request over and goes on.

A process that does not read leaves the writer in its write, and nobody else. The write ends when the process does.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from multiprocessing.connection import Connection

from app.inference.bounds import num_characters
from backends.embedding import Embed, EmbeddingRequest, Question, Rank
from backends.protocol import Abort, Close, Generate, Load, Pause, Request, Resume

MAX_WAITING = 4096  # requests; a program may ask thousands of short questions at once
MAX_CHARACTERS = 16_000_000  # of all that wait; a longer prompt goes while nothing else does

_log = logging.getLogger(__name__)


class Outbox:
    """Thread-safe. A request that cannot be written although the process lives is told to `on_lost`."""

    def __init__(self, connection: Connection, name: str, on_lost: Callable[[int], None]):
        self._connection = connection
        self._on_lost = on_lost
        # a condition, not a queue alone: what waits is counted, and an abort takes it out again
        self._changed = threading.Condition()
        self._waiting: deque[Request | EmbeddingRequest] = deque()
        self._characters = 0  # of what waits and what is being written
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name=f"outbox-{name}", daemon=True)
        self._thread.start()

    def put(self, request: Load | Question) -> bool:
        """Whether there was room. Returns at once."""
        size = _size(request)
        with self._changed:
            if self._is_full(size):
                return False
            self._characters += size
            self._waiting.append(request)
            self._changed.notify()
        return True

    def abort(self, uid: int) -> bool:
        """Whether the request still lay here, and is gone. Else the engine is told, after all that waits."""
        with self._changed:
            for index, request in enumerate(self._waiting):
                if isinstance(request, Question) and request.uid == uid:
                    del self._waiting[index]
                    self._characters -= _size(request)
                    return True
        self.tell(Abort(uid))
        return False

    def tell(self, request: Abort | Pause | Resume) -> None:
        """After all that waits; for such a word there is always room."""
        with self._changed:
            if not self._is_closed:
                self._waiting.append(request)
                self._changed.notify()

    def close(self) -> None:
        """Say Close instead of all that waits."""
        self._end(Close())

    def leave(self) -> None:
        """The process is gone: say nothing more. Returns when the thread has ended."""
        self._end()
        self._thread.join()

    def _end(self, *last_words: Request) -> None:
        with self._changed:
            if self._is_closed:
                return
            self._is_closed = True
            self._waiting.clear()
            self._waiting.extend(last_words)
            self._changed.notify()

    def _is_full(self, size: int) -> bool:
        if self._is_closed or len(self._waiting) >= MAX_WAITING:
            return True
        return self._characters > 0 and self._characters + size > MAX_CHARACTERS

    def _run(self) -> None:
        while (request := self._next()) is not None:
            try:
                self._connection.send(request)
            except OSError:  # it is dead: the thread that reads sees the same and tells everybody
                return
            except Exception:  # the edge: one request that cannot be packed must not hold up the others
                _log.exception("a request could not be handed to an engine")
                if isinstance(request, Question):
                    self._on_lost(request.uid)
            with self._changed:
                self._characters -= _size(request)

    def _next(self) -> Request | EmbeddingRequest | None:
        """None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closed)
            return self._waiting.popleft() if self._waiting else None


def _size(request: Request | EmbeddingRequest) -> int:
    match request:
        case Generate():
            return num_characters(request.prompt)
        case Embed():
            return sum(map(len, request.inputs))
        case Rank():
            return len(request.query) + sum(map(len, request.documents))
    return 0
