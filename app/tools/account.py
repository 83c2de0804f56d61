"""What a connection has come to: shared by the transport that sees it and the server that tells it."""

import threading
from collections.abc import Callable

from backends.bounds import as_text

MAX_WORDS = 8 << 10  # bytes of what a server writes to stderr that are kept
MAX_TOLD = 600  # characters of it that a person is shown
KIB = 1 << 10


class Account:
    """Thread-safe. ended: called once, by whoever finds out first that nothing more will come."""

    def __init__(self, ended: Callable[[], None]):
        self._lock = threading.Lock()  # the transport writes on its thread, a window reads on its own
        self._words = bytearray()
        self._ended = ended
        self._problem: str | None = None

    @property
    def problem(self) -> str | None:
        """Why it ended, the end of a sentence: “closed its output”. None: it has not."""
        return self._problem

    @property
    def words(self) -> str:
        """The last lines that the server has written to stderr."""
        with self._lock:
            text = self._words.decode("utf-8", "replace")
        return as_text("\n".join(text.splitlines()[-12:])[-MAX_TOLD:], MAX_TOLD)

    def hear(self, words: bytes) -> None:
        with self._lock:
            self._words += words
            del self._words[:-MAX_WORDS]

    def end(self, problem: str) -> None:
        """Only the first cause counts."""
        if self._problem is None:
            self._problem = problem
            self._ended()


class Meter:
    """How much a server says while it is asked nothing. A flood is told from an answer by its size alone."""

    def __init__(self, most_bytes: int, most_messages: int):
        self._most = most_bytes, most_messages
        self._bytes = self._messages = 0

    def begin(self) -> None:
        """Something was asked of it."""
        self._bytes = self._messages = 0

    def count(self, num_bytes: int, num_messages: int = 0) -> bool:
        """Whether it is still within bounds."""
        self._bytes += num_bytes
        self._messages += num_messages
        return self._bytes <= self._most[0] and self._messages <= self._most[1]
