"""The port's log: a line of JSON for each request that is over, without texts. Two files, the older one replaced."""

import json
import logging
import os
import threading
from collections import deque
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from app.server.core.calls import Logged
from app.server.core.threads import start_thread
from backends.ownership.private import FILE_MODE, make_private_folder

FILE_NAME, PREVIOUS = "requests.log", "requests.previous.log"
MAX_BYTES = 1 << 20
MAX_WAITING = 1000  # lines; a disk that takes none must not fill the memory

_log = logging.getLogger(__name__)


class RequestLog:
    """Called on the server's loop; a thread that lives as long as there are lines writes them."""

    def __init__(self, folder: Path):
        self.path = folder / FILE_NAME
        self._previous = folder / PREVIOUS
        self._waiting: deque[Logged] = deque(maxlen=MAX_WAITING)
        self._lock = threading.Lock()  # a thread may begin while the one before it writes its last lines

    def note(self, logged: Logged) -> None:
        is_first = not self._waiting
        self._waiting.append(logged)
        if is_first:
            try:
                start_thread(self._write)
            except RuntimeError:  # the system has no thread left
                self._waiting.clear()

    def _write(self) -> None:
        with self._lock:
            try:
                while self._waiting:
                    num_lines = len(self._waiting)
                    self._append("".join(_line(self._waiting[each]) for each in range(num_lines)).encode())
                    for _ in range(num_lines):
                        self._waiting.popleft()
            except OSError as fault:
                _log.warning("%s could not be written: %s", self.path, fault)
                self._waiting.clear()

    def _append(self, lines: bytes) -> None:
        make_private_folder(self.path.parent)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        handle = os.open(self.path, flags, FILE_MODE)
        try:
            os.write(handle, lines)
            is_full = os.fstat(handle).st_size > MAX_BYTES
        finally:
            os.close(handle)
        if is_full:
            self.path.replace(self._previous)


def _line(logged: Logged) -> str:
    told = {"time": datetime.fromtimestamp(logged.ended, UTC).isoformat(timespec="milliseconds"), **asdict(logged)}
    told["seconds"] = round(logged.seconds, 3)
    del told["ended"]
    return json.dumps(told, ensure_ascii=False) + "\n"
