"""What a command tells on stderr while it works: the step, how far it is, and nothing when stderr is unread."""

import sys
import time
from typing import TextIO

from backends.bounds import printable
from backends.child import Progress

EVERY_SECONDS = 0.2
LOG_SECONDS = 60.0
WIDTH = 100


class ProgressLine:
    """One line that is written over on a terminal; elsewhere a line per step and minute, for a log. Close it."""

    def __init__(self, stream: TextIO | None = None):
        self._stream = stream or sys.stderr
        self._is_terminal = self._stream.isatty()
        self._step = ""
        self._told_at = 0.0

    def tell(self, step: str, fraction: float, text: str) -> None:
        is_new, now = step != self._step, time.monotonic()
        if not is_new and now - self._told_at < (EVERY_SECONDS if self._is_terminal else LOG_SECONDS):
            return
        self._step, self._told_at = step, now
        if not self._is_terminal:
            far = "" if is_new else f": {fraction:.0%}, {text[:WIDTH]}".rstrip(", ")
            print(f"slipstream: {printable(step + far)}", file=self._stream, flush=True)
        else:
            line = printable(f"{step}  {fraction:4.0%}  {text[:WIDTH]}")[:WIDTH]
            print(f"\r{line:<{WIDTH}}", end="", file=self._stream, flush=True)

    def listener(self, step: str) -> "Listener":
        return Listener(self, step)

    def close(self) -> None:
        if self._is_terminal and self._step:
            print(f"\r{'':<{WIDTH}}\r", end="", file=self._stream, flush=True)


class Listener:
    """Hears the progress of one child."""

    def __init__(self, line: ProgressLine, step: str):
        self._line = line
        self._step = step

    def __call__(self, progress: Progress) -> None:
        self._line.tell(self._step, progress.fraction, progress.text)
