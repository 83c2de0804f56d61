"""Which id means which model of this library, for good: who had it first keeps it, whatever appears beside it later.

One JSON file, by place. Lost or broken, ids are given anew in the order of the list.
"""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.exact_json import exact_json
from app.library.entry import ModelEntry
from app.library.names import MAX_ID
from app.library.origin import Origin
from app.whole_file import changing_file, replace_file, set_aside
from backends.bounds import as_name
from backends.regular_file import read_regular

VERSION = 1
MAX_BYTES = 64 << 20
MAX_KEPT = 100_000  # places that are gone count, too: they may come back
SECONDS = 1.0  # to wait for another process that writes; then it is written the next time
Identity = tuple[int, int, int]


class Ids:
    """Belongs to one library, under its lock. path: None remembers nothing beyond this run."""

    def __init__(self, path: Path | None = None):
        self._path = path
        self._known: dict[str, str] = {}
        self._identity: Identity | None = None

    def give(self, entries: list[ModelEntry]) -> list[ModelEntry]:
        """The same entries, each with an id of its own."""
        self._known |= self._read()
        ids = list(_kept(entries, self._known))
        taken, fresh = set(ids), dict[str, str]()
        for number, entry in enumerate(entries):
            if ids[number] is None:
                ids[number] = id_ = next(each for each in proposals(entry) if each not in taken)
                taken.add(id_)
                fresh[key_of(entry)] = id_
        if fresh:
            self._known |= fresh
            self._write()
        pairs = zip(entries, ids, strict=True)
        return [replace(entry, id=id_) if id_ and id_ != entry.id else entry for entry, id_ in pairs]

    def _read(self) -> dict[str, str]:
        """What has been written since the last time."""
        if self._path is None or (identity := _identity(self._path)) in (None, self._identity):
            return {}
        self._identity = identity
        try:
            return _ids(json.loads(read_regular(self._path, MAX_BYTES)))
        except (OSError, ValueError, RecursionError):
            return {}

    def _write(self) -> None:
        """As far as the disk takes it. What another process has written first stays as it is."""
        if self._path is None:
            return
        with suppress(OSError), changing_file(self._path, SECONDS):
            ids = {**self._known, **self._on_disk(self._path)}
            kept = dict(list(ids.items())[-MAX_KEPT:])
            replace_file(self._path, exact_json({"version": VERSION, "ids": kept}, indent=0).encode())
            self._known, self._identity = kept, _identity(self._path)

    def _on_disk(self, path: Path) -> dict[str, str]:
        """Raises OSError."""
        try:
            return _ids(json.loads(read_regular(path, MAX_BYTES)))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError):
            set_aside(path)
            return {}


def key_of(entry: ModelEntry) -> str:
    """Where the model lies. Ollama's models may share a file, and are updated into another one: its name, then."""
    if entry.origin is Origin.OLLAMA:
        return f"{entry.path.parent.parent}{os.sep}manifests:{entry.source or entry.name}"
    return str(entry.path)


def proposals(entry: ModelEntry) -> Iterator[str]:
    """Best first, without end."""
    yield entry.id
    other = as_name(f"{entry.origin}/{entry.id}", MAX_ID)
    yield other
    number = 2
    while True:
        yield f"{other}#{number}"
        number += 1


def _kept(entries: Iterable[ModelEntry], known: dict[str, str]) -> Iterator[str | None]:
    """For each the id that it has already; None for those without, and for a second of the same."""
    taken: set[str] = set()
    for entry in entries:
        id_ = known.get(key_of(entry))
        yield None if id_ in taken else id_
        if id_ is not None:
            taken.add(id_)


def _ids(document: Any) -> dict[str, str]:
    """Raises ValueError for a file that is none of ours."""
    ids = document.get("ids") if isinstance(document, dict) and document.get("version") == VERSION else None
    if not isinstance(ids, dict):
        raise ValueError("no ids")
    return {key: id_ for key, id_ in ids.items() if isinstance(id_, str) and id_ and as_name(id_, MAX_ID) == id_}


def _identity(path: Path) -> Identity | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
