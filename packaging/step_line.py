"""One step of the set-up: runs its commands and says meanwhile what they do, how far they are and for how long.

Standard library only. On a terminal one line is written over; elsewhere a line a minute, fit for a log.
"""

from __future__ import annotations  # a Python that is too old must still read this, to be told so

import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import BinaryIO, TextIO

from app.builds.signs import sign_in

TICK = 1.0  # seconds between two looks at the clock
QUIET = 60.0  # seconds between two lines where they cannot be written over
NUM_KEPT = 400  # lines of output that a failure may quote
MAX_LINE = 4096  # bytes of one
END = None


class StepFailed(Exception):
    """A command of the step ended with another exit code than 0. lines: the end of what it said."""

    def __init__(self, title: str, lines: list[str], log: Path):
        super().__init__(title)
        self.title = title
        self.lines = lines
        self.log = log


class StepLine:
    """Used as a context: `with StepLine(3, 5, "compiling llama.cpp", log) as step: step.run(command)`."""

    def __init__(self, number: int, count: int, doing: str, log: Path, usually: str = "", stream: TextIO | None = None):
        self.title = f"step {number} of {count}: {doing}"
        self.detail = ""
        self._usually = usually
        self._log = log
        self._stream = stream or sys.stdout
        self._is_terminal = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._width = 0  # of what stands on the terminal's line
        self._kept: deque[str] = deque(maxlen=NUM_KEPT)  # of all commands: `apt-get update` says why the next one fails
        self._begun = self._told = time.monotonic()

    def __enter__(self) -> StepLine:
        self._write(f"{self.title} …{f' (usually {self._usually})' if self._usually else ''}")
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._write(f"{self.title}: done in {minutes(time.monotonic() - self._begun)}")
        if self._is_terminal:
            print(file=self._stream, flush=True)

    def run(self, *command: str | Path, cwd: Path, environment: dict[str, str] | None = None) -> None:
        """Raises StepFailed. The whole output goes to the log, its end into the failure."""
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=cwd,
            env=_spoken(environment),
            stdin=subprocess.DEVNULL,  # a question that nobody sees would wait for ever
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        reader = threading.Thread(target=_read, args=(process.stdout, lines), daemon=True)
        reader.start()
        try:
            self._follow(lines)
            code = process.wait()
        except BaseException:
            process.terminate()
            process.wait()
            raise
        finally:
            reader.join()
        if code:
            raise StepFailed(
                f"{self.title} failed after {minutes(time.monotonic() - self._begun)}.", [*self._kept], self._log
            )

    def _follow(self, lines: queue.SimpleQueue[bytes | None]) -> None:
        with self._log.open("ab") as log:
            while True:
                try:
                    line = lines.get(timeout=TICK)
                except queue.Empty:
                    self.tell()
                    continue
                if line is END:
                    return
                log.write(line)
                text = line.decode("utf-8", "replace").rstrip()
                self._kept.append(text)
                self.hear(text)

    def hear(self, line: str) -> None:
        """What a line of output says of how far the step is."""
        if sign := sign_in(line):
            self.detail = sign
            self.tell()

    def tell(self) -> None:
        """As often as the stream can bear."""
        now = time.monotonic()
        if now - self._told < (TICK / 4 if self._is_terminal else QUIET):
            return
        self._told = now
        detail = f", {self.detail}" if self.detail else ""
        self._write(f"{self.title}{detail}{self._how_long()}")

    def _how_long(self) -> str:
        so_far = minutes(time.monotonic() - self._begun)
        usual = f", usually {self._usually}" if self._usually else ""
        return f" ({so_far} so far{usual})"

    def _write(self, text: str) -> None:
        encoding = self._stream.encoding or "utf-8"
        text = text.encode(encoding, "replace").decode(encoding)
        if not self._is_terminal:
            print(text, file=self._stream, flush=True)
            return
        text = text[: shutil.get_terminal_size().columns - 1]
        print(f"\r{text:<{self._width}}", end="", file=self._stream, flush=True)
        self._width = len(text)


def minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:.0f} s"


def _read(stream: BinaryIO, lines: queue.SimpleQueue[bytes | None]) -> None:
    with stream:
        for line in iter(lambda: stream.readline(MAX_LINE), b""):
            lines.put(line)
    lines.put(END)


def _spoken(environment: dict[str, str] | None) -> dict[str, str]:
    """Lines as they come, and in the words that `advice` knows."""
    return {**(environment or os.environ), "PYTHONUNBUFFERED": "1", "LC_MESSAGES": "C", "PIP_PROGRESS_BAR": "off"}
