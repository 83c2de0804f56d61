"""llama.cpp's log: it goes to the process's own, and the last errors are kept, since a failing call returns none.

Levels and texts are those of ggml_log_callback (ggml.h).
"""

import re
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from backends.bounds import MAX_REASON, printable, shortened

DEBUG, ERROR, CONTINUES = 1, 4, 5
NUM_KEPT = 32
MAX_HEARD = 4096  # characters of one message; some quote a file
# in front of a message: the function that says it, and what every failed load is called
PREFIX = re.compile(r"^(?:[A-Za-z~:<>]*_[\w~:<>]*: |error loading model: )+")
SAYS_NOTHING = re.compile(r"^failed to (?:load|open) (?:the )?model\b|^failed to load model from")
MEMORY = re.compile(
    r"out of (?:\w+ )?memory|OutOf\w*Memory|bad_alloc|(?:cannot|could not|failed to|unable to) allocate|"
    r"not enough (?:\w+ )?memory",
    re.IGNORECASE,
)


class Errors:
    """The last error lines, numbered through. Thread-safe, because llama.cpp logs on whatever thread it works."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=NUM_KEPT)
        self._num_heard = 0
        self._level = 0  # of the message that a CONTINUES goes on with
        self._lock = threading.Lock()

    def hear(self, level: int, text: str) -> None:
        with self._lock:
            if level != CONTINUES:
                self._level = level
            if self._level != ERROR:
                return
            for line in text[:MAX_HEARD].splitlines():
                if line.strip():
                    self._lines.append(line.strip())
                    self._num_heard += 1

    def mark(self) -> int:
        """How many there were up to now, for `since`."""
        return self._num_heard  # without the lock: a number is whole at any time, and each decode asks for it

    def since(self, mark: int) -> list[str]:
        with self._lock:
            num_new = min(self._num_heard - mark, len(self._lines))
            return list(self._lines)[len(self._lines) - num_new :]


def reason(lines: list[str]) -> str | None:
    """The last that gives one, without the names of functions, in one printable line; None when none does."""
    said = [PREFIX.sub("", line) for line in lines]
    told = [text for text in said if not SAYS_NOTHING.match(text)]
    return shortened(printable(told[-1]).rstrip("."), MAX_REASON) if told else None


def is_of_memory(lines: list[str]) -> bool:
    """Whether there was too little of it, on whatever device."""
    return any(MEMORY.search(line) for line in lines)


errors = Errors()
_listeners: list[Callable[[str], None]] = []


@contextmanager
def overheard() -> Iterator[list[str]]:
    """All that llama.cpp says meanwhile, on whatever thread."""
    lines: list[str] = []
    _listeners.append(lines.append)
    try:
        yield lines
    finally:
        _listeners.remove(lines.append)


class NativeError(Exception):
    """A call of llama.cpp failed; the message gives its code, or the reason that llama.cpp's log gives.

    is_of_memory: too little of it was left, on whatever device.
    """

    def __init__(self, message: str, is_of_memory: bool = False):
        super().__init__(message)
        self.is_of_memory = is_of_memory


def failure(mark: int, what: str = "") -> NativeError:
    """mark: of `errors`, before the call that has failed. what: else the message is llama.cpp's own reason alone."""
    lines = errors.since(mark)
    why = reason(lines)
    said = f"llama.cpp says “{why}”" if why else "llama.cpp gave no reason"
    return NativeError(f"{what}: {said}" if what else said, is_of_memory(lines))


def write(level: int, text: str) -> None:
    for listener in _listeners:
        listener(text)
    if level != DEBUG:
        sys.stderr.write(text)
