"""Where the lines come from: a terminal with editing and history where there is one, else plain lines."""

import os
import sys
from contextlib import suppress
from pathlib import Path
from types import ModuleType

from app.cli.talk.entry import Dropped
from app.cli.terminal import prompt
from backends.ownership.files import is_regular
from backends.ownership.private import make_private_file

MAX_HISTORY = 1000  # lines kept between runs
MAX_HISTORY_BYTES = 8 << 20  # of a file that is still read
# Alt+Enter puts a line end into the line; a paste of several lines is one message
BINDINGS = (r'"\e\C-m": "\C-v\C-j"', "set enable-bracketed-paste on", "tab: complete")


class Keyboard:
    """history: the file of what was typed, for its owner alone; None: nothing is kept."""

    def __init__(self, history: Path | None, words: tuple[str, ...] = ()):
        if sys.stdin is not None and hasattr(sys.stdin, "reconfigure"):
            sys.stdin.reconfigure(errors="replace")  # a byte that is no UTF-8 must not end a chat
        self._readline = _readline()
        self._history = history if self._readline else None
        if self._readline:
            self._set_up(self._readline, words)

    def read(self, mark: str) -> str:
        """A line, which may have line ends in it. Raises EOFError, KeyboardInterrupt, or Dropped when half typed."""
        if self._readline is None:
            prompt(mark)
            line = sys.stdin.readline()
            if not line:
                raise EOFError
            return line.rstrip("\r\n")
        try:
            line = input(mark).replace("\r", "\n")
        except KeyboardInterrupt:
            if self._readline.get_line_buffer():
                raise Dropped from None
            raise
        if line.strip() and self._history:
            with suppress(OSError):
                self._readline.append_history_file(1, str(self._history))
        return line

    def _set_up(self, readline: ModuleType, words: tuple[str, ...]) -> None:
        if "libedit" not in (readline.__doc__ or ""):  # which speaks another language
            for binding in BINDINGS:
                readline.parse_and_bind(binding)
        readline.set_completer_delims(" ")
        readline.set_completer(lambda text, at: next((w for w in [w for w in words if w.startswith(text)][at:]), None))
        readline.set_history_length(MAX_HISTORY)
        try:
            self._read_history(readline)
        except OSError:  # a chat without its history is still a chat
            self._history = None

    def _read_history(self, readline: ModuleType) -> None:
        if self._history is None:
            return
        make_private_file(self._history)
        if not is_regular(self._history) or self._history.stat().st_size > MAX_HISTORY_BYTES:
            self._history = None
            return
        readline.read_history_file(str(self._history))
        readline.write_history_file(str(self._history))  # the last MAX_HISTORY of them


def _readline() -> ModuleType | None:
    """Python's own; Windows has none, and a terminal that cannot move its cursor needs none."""
    is_able = sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    with suppress(ImportError):
        if is_able:
            import readline

            return readline
    return None
