"""What a person has said of models, and what checking their files has found: one JSON file, by path.

Models of other applications get their remarks here as well, since nothing is written beside them.
"""

import errno
import json
import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from app.exact_json import exact_json
from app.library.defaults import NO_DEFAULTS, ModelDefaults
from app.whole_file import changing_file, keep_copy, reason, replace_file, set_aside
from backends.regular_file import OddFileError, read_regular

VERSION = 1
MAX_BYTES = 16 << 20
MAX_NOTE = 10_000
MAX_NAME = 200
MAX_HASHES = 10_000  # files of one model
Identity = tuple[int, int, int]


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
    defaults: ModelDefaults = NO_DEFAULTS
    before: ModelDefaults | None = None  # those before the last change; None: there is none to take back


NOTHING = Remark()


class Remarks:
    """Thread-safe, and safe beside other processes. A file that cannot be understood is set aside, never overwritten.

    on_problem: is told, once each, a sentence for a person when a file, or a remark in it, could not be used.
    """

    def __init__(self, path: Path, on_problem: Callable[[str], None] = lambda _: None):
        self._path = path
        self._on_problem = on_problem
        self._told: str | None = None
        self._lock = threading.Lock()  # what is remembered and its identity change together
        self._identity: Identity | None = None
        self._remarks: dict[str, Remark] = {}
        self._is_whole = True  # all that the file says has been understood

    def all(self) -> dict[str, Remark]:
        """By path. Not to be changed. Without those that cannot be read: a listing does not end with them."""
        with self._lock:
            try:
                self._refresh()
            except OSError as error:
                self._remarks, self._identity = {}, None
                self._tell(f"Notes, favourites and names could not be read from {self._path}: {reason(error)}.")
            return self._remarks

    def of(self, path: str) -> Remark:
        return self.all().get(path, NOTHING)

    def change(self, path: str, **changes: Any) -> Remark:
        """Raises OSError when it cannot be written, or what is there cannot be read."""
        with self._lock, changing_file(self._path):
            self._refresh(is_ours=True)
            remark = replace(self._remarks.get(path, NOTHING), **changes)
            self._write({**self._remarks, path: remark})
            return remark

    def forget(self, paths: Iterable[str]) -> None:
        """Raises OSError."""
        with self._lock:
            self._refresh()
            if not set(paths) & self._remarks.keys():
                return
            with changing_file(self._path):
                self._refresh(is_ours=True)
                gone = set(paths)
                self._write({path: remark for path, remark in self._remarks.items() if path not in gone})

    def _refresh(self, is_ours: bool = False) -> None:
        """Another process may have written meanwhile. is_ours: nobody else may write now. Raises OSError."""
        try:
            identity = _identity(self._path)
            if identity is not None and identity == self._identity:
                return
            self._remarks, num_bad = _read(self._path)
        except (OddFileError, ValueError) as fault:
            if is_ours:
                self._give_up(fault)
                return
            with changing_file(self._path):  # else another process's new file could be set aside
                self._refresh(is_ours=True)
            return
        self._identity, self._is_whole = identity, not num_bad
        if num_bad:
            self._tell(f"{num_bad} of the remarks on models in {self._path.name} cannot be understood and do not show.")

    def _give_up(self, fault: Exception) -> None:
        what = f" ({reason(fault)})" if isinstance(fault, OddFileError) else ""
        target = set_aside(self._path)
        self._remarks, self._identity, self._is_whole = {}, None, True
        self._tell(f"The file with your notes and favourites was broken{what}. It is kept as {target.name}.")

    def _write(self, remarks: dict[str, Remark]) -> None:
        kept = {path: _document(remark) for path, remark in remarks.items() if remark != NOTHING}
        encoded = exact_json({"version": VERSION, "models": kept}, indent=1).encode()
        if len(encoded) > MAX_BYTES:
            raise OSError(None, f"all notes together would take more than {MAX_BYTES >> 20} MiB")
        if not self._is_whole:
            keep_copy(self._path)
        replace_file(self._path, encoded)
        self._remarks, self._identity, self._is_whole = remarks, None, True

    def _tell(self, sentence: str) -> None:
        if sentence != self._told:
            self._told = sentence
            self._on_problem(sentence)


def _identity(path: Path) -> Identity | None:
    """None without one; raises OSError when nobody can say."""
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            return None  # reading it says what it is
        raise
    return status.st_mtime_ns, status.st_size, status.st_ino


def _read(path: Path) -> tuple[dict[str, Remark], int]:
    """The remarks, and how many could not be understood. Raises ValueError for a file that is none of ours."""
    try:
        document = json.loads(read_regular(path, MAX_BYTES))
    except (FileNotFoundError, NotADirectoryError):
        return {}, 0
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(document, dict) or document.get("version") != VERSION:
        raise ValueError("another version")
    models = document.get("models")
    if not isinstance(models, dict):
        raise ValueError("no models")
    remarks = {name: remark for name, values in models.items() if (remark := _remark(values))}
    return remarks, len(models) - len(remarks)


def _document(remark: Remark) -> dict[str, Any]:
    values = {**asdict(remark), "defaults": dict(remark.defaults.values)}
    values = {key: value for key, value in values.items() if value not in (None, "", False, {})}
    return values if remark.before is None else {**values, "before": dict(remark.before.values)}


def _remark(values: Any) -> Remark | None:
    """None for what is no remark."""
    try:
        name = values.get("name")
        check = values.get("check")
        return Remark(
            None if name is None else _text(name, MAX_NAME),
            _text(values.get("note", ""), MAX_NOTE),
            _truth(values.get("is_favourite", False)),
            None if check is None else _check(check),
            ModelDefaults.of(values.get("defaults", {})),
            None if (before := values.get("before")) is None else ModelDefaults.of(before),
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _check(values: Any) -> Check:
    hashes = values["hashes"]
    if not isinstance(hashes, list) or len(hashes) > MAX_HASHES:
        raise ValueError("no list of hashes")
    return Check(
        _text(values["at"], MAX_NAME),
        _truth(values["is_sound"]),
        _text(values["text"], MAX_NOTE),
        tuple(_hash(each) for each in hashes),
    )


def _hash(values: Any) -> Hash:
    path = values["path"]
    if not isinstance(path, str) or "\0" in path:  # which no system call takes
        raise ValueError("no path")
    sizes = values["bytes"], values["mtime_ns"]
    if not all(type(size) is int for size in sizes):
        raise TypeError("no size")
    return Hash(path, *sizes, _text(values["sha256"], MAX_NAME), _truth(values.get("is_expected", False)))


def _text(value: Any, most: int) -> str:
    """That can be shown: half a character, as JSON can hold it, is none."""
    if not isinstance(value, str):
        raise TypeError("no text")
    return value[:most].encode("utf-8", "replace").decode()


def _truth(value: Any) -> bool:
    if type(value) is not bool:
        raise TypeError("no truth")
    return value
