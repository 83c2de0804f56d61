"""What llama.cpp says while it works, as lines. It has no callback for progress and returns no reason."""

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from backends.llama.binding import lib


class LogLines:
    """Text comes in pieces. on_line: a whole line, stripped; on_start: what there is of a line so far."""

    def __init__(self, on_line: Callable[[str], None] | None = None, on_start: Callable[[str], None] | None = None):
        self._on_line = on_line
        self._on_start = on_start
        self._rest = ""
        self.last = ""  # whole line, which gives the reason when a call fails

    def hear(self, text: str) -> None:
        os.write(2, text.encode("utf-8", "replace"))
        self._rest += text
        while "\n" in self._rest:
            line, _, self._rest = self._rest.partition("\n")
            self._hear_line(line.strip())
        if self._rest and self._on_start is not None:
            self._on_start(self._rest)

    def _hear_line(self, line: str) -> None:
        if line:
            self.last = line
            if self._on_line is not None:
                self._on_line(line)


@contextmanager
def heard(lines: LogLines) -> Iterator[None]:
    @lib.llama_log_callback  # type: ignore[untyped-decorator]
    def hear(_level: int, text: bytes, _user_data: ctypes.c_void_p) -> None:
        lines.hear(text.decode("utf-8", "replace"))

    lib.llama_log_set(hear, ctypes.c_void_p(0))
    try:
        yield
    finally:
        lib.llama_log_set(_silent, ctypes.c_void_p(0))  # `hear` ends here, and must not be called after


@lib.llama_log_callback  # type: ignore[untyped-decorator]
def _silent(_level: int, _text: bytes, _user_data: ctypes.c_void_p) -> None:
    pass
