"""What a command tells on stderr while it works: the step, how far it is, and nothing when stderr is unread."""

import sys
import time
from typing import TextIO

from backends.bounds import printable
from backends.child import Progress

EVERY_SECONDS = 0.2
WIDTH = 100


class ProgressLine:
    """One line that is written over on a terminal; elsewhere a line per step, fit for a log. Close it at the end."""

    def __init__(self, stream: TextIO | None = None):
        self._stream = stream or sys.stderr
        self._is_terminal = self._stream.isatty()
        self._step = ""
        self._told_at = 0.0

    def tell(self, step: str, fraction: float, text: str) -> None:
        is_new = step != self._step
        self._step = step
        if not self._is_terminal:
            if is_new:
                print(f"slipstream: {printable(step)}", file=self._stream, flush=True)
            return
        now = time.monotonic()
        if is_new or now - self._told_at >= EVERY_SECONDS:
            self._told_at = now
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
