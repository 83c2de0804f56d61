"""Remembers which model files have passed every check: to look at 260,000 tokens takes longer than a start should."""

import json
import logging
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import backends.formats
from app.library.gguf import check_loadable, part_paths
from app.whole_file import replace_file
from backends.regular_file import read_regular

MAX_MODELS = 500
MAX_BYTES = 1 << 20

_log = logging.getLogger(__name__)


class CheckedModels:
    """Thread-safe. A file counts as the same while its size, its time of change and its number are."""

    def __init__(self, file: Path):
        self._file = file
        self._lock = threading.Lock()  # engines check their models side by side
        self._known: dict[str, Any] | None = None  # read when it is asked first

    def check(self, model: Path) -> None:
        """Raises ModelFileError for what could end the engine's process."""
        stamp = _stamp(part_paths(model))  # before: it may change meanwhile
        with self._lock:
            if stamp is not None and self._read().get(str(model)) == stamp:
                return
        check_loadable(model)
        with self._lock:
            self._keep(model, stamp)

    def _read(self) -> dict[str, Any]:
        if self._known is None:
            self._known = {}
            try:
                document = json.loads(read_regular(self._file, MAX_BYTES))
                if document["rules"] == _rules() and isinstance(document["models"], dict):
                    self._known = document["models"]
            except (OSError, ValueError, LookupError, TypeError, RecursionError):
                pass
        return self._known

    def _keep(self, model: Path, stamp: str | None) -> None:
        """Without room for it, the model is checked again at its next load."""
        known = self._read()
        known.pop(str(model), None)
        known[str(model)] = stamp
        while len(known) > MAX_MODELS:
            del known[next(iter(known))]
        try:
            replace_file(self._file, json.dumps({"rules": _rules(), "models": known}).encode())
        except (OSError, ValueError) as fault:
            _log.warning("%s could not be written: %s", self._file, fault)


def _rules() -> str:
    """Names the checks themselves: what an earlier version let pass is checked anew."""
    files = sorted(Path(backends.formats.__file__).parent.glob("*.py"))
    return _stamp(files or [Path(sys.executable)]) or ""  # a frozen application is one file


def _stamp(files: Iterable[Path]) -> str | None:
    """None when one of them cannot be looked at."""
    try:
        looks = [file.stat() for file in files]
    except OSError:
        return None
    return " ".join(f"{look.st_size}:{look.st_mtime_ns}:{look.st_ino}" for look in looks)
