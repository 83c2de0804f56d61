"""What a person has said of models, and what checking their files has found: one JSON file, by path.

Models of other applications get their remarks here as well, since nothing is written beside them.
"""

import json
import os
import tempfile
import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from app.exact_json import exact_json
from app.settings import set_aside

VERSION = 1
MAX_BYTES = 32 << 20
MAX_NOTE = 10_000
MAX_NAME = 200


@dataclass(frozen=True, slots=True)
class Hash:
    """A file's SHA-256, and what it looked like then. `is_expected`: its publisher gave this hash."""

    path: str
    bytes: int
    mtime_ns: int
    sha256: str
    is_expected: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """text: the outcome, as a sentence. at: ISO 8601, UTC."""

    at: str
    is_sound: bool
    text: str
    hashes: tuple[Hash, ...]


@dataclass(frozen=True, slots=True)
class Remark:
    name: str | None = None
    note: str = ""
    is_favourite: bool = False
    check: Check | None = None


NOTHING = Remark()


class Remarks:
    """Thread-safe. A file that cannot be understood is set aside, never overwritten."""

    def __init__(self, path: Path):
        self._path = path
        self._lock = threading.Lock()  # read, change and write are one step
        self._identity: tuple[int, int, int] | None = None
        self._remarks: dict[str, Remark] = {}

    def all(self) -> dict[str, Remark]:
        """By path. Not to be changed."""
        with self._lock:
            self._refresh()
            return self._remarks

    def of(self, path: str) -> Remark:
        return self.all().get(path, NOTHING)

    def change(self, path: str, **changes: Any) -> Remark:
        """Raises OSError when it cannot be written."""
        with self._lock:
            self._refresh()
            remark = replace(self._remarks.get(path, NOTHING), **changes)
            self._write({**self._remarks, path: remark})
            return remark

    def forget(self, paths: Iterable[str]) -> None:
        with self._lock:
            self._refresh()
            gone = set(paths) & self._remarks.keys()
            if gone:
                self._write({path: remark for path, remark in self._remarks.items() if path not in gone})

    def _refresh(self) -> None:
        """Another process may have written meanwhile."""
        try:
            status = os.stat(self._path)
        except OSError:
            self._remarks, self._identity = {}, None
            return
        identity = (status.st_mtime_ns, status.st_size, status.st_ino)
        if identity == self._identity:
            return
        try:
            if status.st_size > MAX_BYTES:
                raise ValueError("too large")
            self._remarks = _parsed(json.loads(self._path.read_bytes()))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            set_aside(self._path)
            self._remarks, identity = {}, (0, 0, 0)
        self._identity = identity

    def _write(self, remarks: dict[str, Remark]) -> None:
        kept = {path: _document(remark) for path, remark in remarks.items() if remark != NOTHING}
        content = exact_json({"version": VERSION, "models": kept}, indent=1)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, part = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, self._path)
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise
        self._remarks, self._identity = remarks, None


def _document(remark: Remark) -> dict[str, Any]:
    return {key: value for key, value in asdict(remark).items() if value not in (None, "", False)}


def _parsed(document: dict[str, Any]) -> dict[str, Remark]:
    if document["version"] != VERSION:
        raise ValueError("another version")
    return {str(path): _remark(**values) for path, values in document["models"].items()}


def _remark(name: Any = None, note: Any = "", is_favourite: Any = False, check: Any = None) -> Remark:
    if not isinstance(name, str | None) or not isinstance(note, str):
        raise TypeError("no text")
    if check is None:
        return Remark(name, note, bool(is_favourite))
    hashes = tuple(Hash(**each) for each in check["hashes"])
    if not all(isinstance(text, str) for text in (check["at"], check["text"], *(each.sha256 for each in hashes))):
        raise TypeError("no text")
    return Remark(name, note, bool(is_favourite), Check(check["at"], bool(check["is_sound"]), check["text"], hashes))
