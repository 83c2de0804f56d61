"""A real pseudo-terminal with a program in it: what a person types and sees."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
SECONDS = 360.0
PATIENCE = 3.0  # before a key that was lost is pressed again
PIECE = 1 << 16


class Terminal:
    def __init__(self, ours: int, process: "subprocess.Popen[bytes]"):
        self._ours = ours
        self.process = process
        self.seen = ""
        self._at = 0  # what was waited for ends here
        self._bytes = b""

    def type(self, text: str | bytes) -> None:
        data = text.encode() if isinstance(text, str) else text
        while data:  # a terminal takes so much at once, and only while its echo is read
            _, can_write, _ = select.select([], [self._ours], [], 0.05)
            if can_write:
                data = data[os.write(self._ours, data[:1000]) :]
            self._read(0.0)

    def wait_for(self, words: str) -> str:
        """What came up to them since the last ones."""
        until = time.monotonic() + SECONDS
        while (found := self.seen.find(words, self._at)) < 0:
            assert time.monotonic() < until, f"{words!r} did not come: {self.seen[self._at :]!r}"
            assert self._read(0.2) or self.process.poll() is None, f"ended: {self.seen[self._at :]!r}"
        before, self._at = self.seen[self._at : found], found + len(words)
        return before

    def interrupt(self, prompt: str = ">>> ") -> None:
        """Ctrl+C, until the prompt comes: Python's readline loses one that arrives just before it waits for a key."""
        self._interrupt_until(lambda: self.seen.find(prompt, self._at) >= 0)
        self.wait_for(prompt)

    def leave(self) -> int:
        """Ctrl+C until it ends; the exit code."""
        self._interrupt_until(lambda: self.process.poll() is not None)
        return self.end()

    def _interrupt_until(self, is_so: Callable[[], bool]) -> None:
        until = time.monotonic() + SECONDS
        while not is_so():
            assert time.monotonic() < until, self.seen[self._at :]
            self.type("\x03")
            patience = time.monotonic() + PATIENCE
            while not is_so() and time.monotonic() < patience:
                self._read(0.2)

    def ask(self, text: str, prompt: str = ">>> ") -> str:
        """Types a line, and gives what came until the next prompt."""
        self.type(f"{text}\r")
        return self.wait_for(prompt)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process.send_signal(signal.SIGWINCH)

    def end(self) -> int:
        """The exit code, and the rest is seen."""
        until = time.monotonic() + SECONDS
        while self.process.poll() is None:
            assert time.monotonic() < until, self.seen[self._at :]
            self._read(0.1)
        while self._read(0.1):
            pass
        return self.process.returncode

    def _read(self, seconds: float) -> bool:
        if not select.select([self._ours], [], [], seconds)[0]:
            return False
        try:
            piece = os.read(self._ours, PIECE)
        except OSError:  # Linux: nobody has the other end any more
            return False
        self._bytes += piece
        self.seen = self._bytes.decode("utf-8", "ignore")
        return bool(piece)


@contextmanager
def terminal(*arguments: str, cwd: Path, **environment: str) -> Iterator[Terminal]:
    """python with these arguments, in a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(
        [sys.executable, *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=cwd,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # Ctrl+C goes to who has the terminal
        env={**os.environ, "TERM": "xterm", "PYTHONPATH": str(ROOT), **environment},
    )
    os.close(theirs)
    try:
        yield Terminal(ours, process)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
