"""Runs a long command, hears its lines as they come, keeps all of them in a log, and ends it when called off."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO

from app.errors import Cancelled

TICK = 0.2  # seconds between two looks whether it is called off
NUM_KEPT = 400  # lines that a failure may quote
MAX_LINE = 4096  # bytes


class CommandFailed(Exception):
    """lines: the end of what it said."""

    def __init__(self, lines: list[str]):
        super().__init__(lines[-1] if lines else "it said nothing")
        self.lines = lines


def run_command(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    log: Path,
    hear: Callable[[str], None],
    cancelled: threading.Event,
) -> None:
    """In `folder`, behind other programs. Raises CommandFailed, OSError, or Cancelled, when all of it has ended."""
    nice = shutil.which("nice") if sys.platform != "win32" else None
    process = subprocess.Popen(
        [nice, "-n", "10", *command] if nice else list(command),
        cwd=folder,
        env={**environment, "PYTHONUNBUFFERED": "1", "LC_MESSAGES": "C", "PIP_PROGRESS_BAR": "off"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # a compiler's own children end with it
    )
    lines: SimpleQueue[bytes | None] = SimpleQueue()
    reader = threading.Thread(target=_read, args=(process.stdout, lines), name="build-output", daemon=True)
    reader.start()
    kept: deque[str] = deque(maxlen=NUM_KEPT)
    try:
        _follow(lines, log, kept, hear, cancelled)
        code = process.wait()
    finally:
        _end(process)
        reader.join()
    if code:
        raise CommandFailed([*kept])


def _follow(
    lines: "SimpleQueue[bytes | None]",
    log: Path,
    kept: "deque[str]",
    hear: Callable[[str], None],
    cancelled: threading.Event,
) -> None:
    with log.open("ab") as file:
        while True:
            if cancelled.is_set():
                raise Cancelled("Cancelled.")
            try:
                line = lines.get(timeout=TICK)
            except Empty:
                continue
            if line is None:
                return
            file.write(line)
            text = line.decode("utf-8", "replace").rstrip()
            kept.append(text)
            hear(text)


def _read(stream: IO[bytes] | None, lines: "SimpleQueue[bytes | None]") -> None:
    assert stream is not None
    with stream:
        for line in iter(lambda: stream.readline(MAX_LINE), b""):
            lines.put(line)
    lines.put(None)


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        if hasattr(os, "killpg"):
            with suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
        process.kill()
    process.wait()
