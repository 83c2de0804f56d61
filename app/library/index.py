"""Remembers headers, so that only new and changed files are opened. A cache: lost or broken, it is made anew."""

import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import astuple
from pathlib import Path
from typing import Any

from app.library.facts import Facts, read_facts
from app.library.found import Found
from app.own_database import NotOurDatabase, check_schema, connect_privately, is_damage, set_database_aside
from app.whole_file import changing_file

VERSION = 4  # 1 had paths as text, which not every path is; 2 knew neither base models nor widths; 3 no embedders
SCHEMA = """
CREATE TABLE headers (
    path BLOB PRIMARY KEY, bytes INTEGER, mtime_ns INTEGER, inode TEXT, is_model INTEGER, title TEXT,
    architecture TEXT, parameters INTEGER, quantization TEXT, context INTEGER, problem TEXT,
    width INTEGER, is_base INTEGER, is_embedder INTEGER
) WITHOUT ROWID
"""
TABLES = "SELECT name FROM sqlite_schema WHERE substr(name, 1, 7) <> 'sqlite_'"
NUM_COLUMNS = 14
SECONDS = 1.0  # to wait for another process that writes; then this one does without
MAX_INTEGER = 2**63
MAX_DIGITS = 40
Identity = tuple[int, int, int]
Row = tuple[Any, ...]


class Index:
    """Belongs to one library, under its lock. `read` opens the files; it is handed in so that tests can count."""

    def __init__(self, path: Path, read: Callable[[Found], Facts] = read_facts):
        self._path = path
        self._read = read
        self._known: dict[str, tuple[Identity, Facts]] | None = None
        self._unsaved: dict[str, tuple[Identity, Facts]] = {}

    def get(self, found: Found) -> Facts | None:
        """Without opening the file; None when it is new or has changed."""
        if self._known is None:
            self._known = self._load()
        known = self._known.get(found.path)
        return known[1] if known and known[0] == found.identity else None

    def read(self, found: Found) -> Facts:
        facts = self._read(found)
        assert self._known is not None
        self._known[found.path] = (found.identity, facts)
        if not facts.is_passing:
            self._unsaved[found.path] = self._known[found.path]
        return facts

    def save(self) -> None:
        """Writes down what was read since the last time, as far as the disk and the database take it."""
        if not self._unsaved:
            return
        rows = [
            (os.fsencode(path), identity[0], identity[1], str(identity[2]), *astuple(facts)[:-1])
            for path, (identity, facts) in self._unsaved.items()
        ]
        self._unsaved = {}
        rows = [row for row in rows if all(map(_fits, row))]
        with suppress(sqlite3.Error, OSError), self._alone(), closing(self._open()) as database, database:
            database.executemany(f"INSERT OR REPLACE INTO headers VALUES ({', '.join('?' * NUM_COLUMNS)})", rows)

    def _load(self) -> dict[str, tuple[Identity, Facts]]:
        """A row that is none costs itself: its file is opened again. What is not as we wrote it is set aside."""
        try:
            with self._alone():
                return self._load_alone()
        except OSError:  # another process takes long, or the folder may not be written to
            return {}

    def _alone(self) -> AbstractContextManager[None]:
        """From the opening to the closing: what is set aside or made anew is open nowhere else. Raises OSError."""
        return changing_file(self._path, SECONDS)

    def _load_alone(self) -> dict[str, tuple[Identity, Facts]]:
        try:
            with closing(self._open()) as database:
                rows = database.execute("SELECT * FROM headers").fetchall()
        except (sqlite3.Error, OSError) as error:
            if isinstance(error, NotOurDatabase) or is_damage(error):
                with suppress(OSError):
                    set_database_aside(self._path)
            return {}
        good = filter(None, map(_known, rows))
        known = {path: (identity, facts) for path, identity, facts in good}
        if len(known) < len(rows):
            with suppress(OSError):
                set_database_aside(self._path)
            self._unsaved = dict(known)  # they make a new one
        return known

    def _open(self) -> sqlite3.Connection:
        database = connect_privately(self._path, SECONDS)
        try:
            database.text_factory = _text
            if _is_of_another_version(database):
                _make(database, "DROP TABLE headers;")  # every header is read again, for what that version left out
            elif not check_schema(database, {VERSION: SCHEMA}):
                _make(database)
        except BaseException:
            database.close()
            raise
        return database


def _is_of_another_version(database: sqlite3.Connection) -> bool:
    """Earlier or later: one table of ours and nothing beside it. Whatever its columns, it is a cache."""
    (version,) = database.execute("PRAGMA user_version").fetchone()
    return version not in (0, VERSION) and database.execute(TABLES).fetchall() == [("headers",)]


def _make(database: sqlite3.Connection, before: str = "") -> None:
    database.executescript(f"BEGIN IMMEDIATE; {before} {SCHEMA}; PRAGMA user_version = {VERSION}; COMMIT;")


def _text(content: bytes) -> str | None:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None  # and the row is passed over


def _fits(value: object) -> bool:
    """Whether SQLite can hold it: no time after 2262, no name that is not UTF-8."""
    if isinstance(value, str):
        return value.isprintable() or value.encode("utf-8", "ignore").decode() == value
    return not isinstance(value, int) or -MAX_INTEGER <= value < MAX_INTEGER


def _known(row: Row) -> tuple[str, Identity, Facts] | None:
    """None for what `save` cannot have written."""
    path, num_bytes, mtime_ns, inode, is_model, title, *rest = row
    architecture, parameters, quantization, context, problem, width, *kinds = rest
    texts = (inode, title, architecture, quantization, "" if problem is None else problem)
    numbers = (num_bytes, mtime_ns, is_model, parameters, 0 if context is None else context, width or 0, *kinds)
    if (
        not isinstance(path, bytes)
        or not _are(str, texts)
        or not _are(int, numbers)
        or not inode.isdecimal()
        or len(inode) > MAX_DIGITS
    ):
        return None
    if min(num_bytes, parameters, context or 0, width or 0) < 0:
        return None
    known = (architecture, parameters, quantization, context, problem, width, *map(bool, kinds))
    facts = Facts(bool(is_model), title, *known)
    return os.fsdecode(path), (num_bytes, mtime_ns, int(inode)), facts


def _are(kind: type, values: Sequence[object]) -> bool:
    return all(type(value) is kind for value in values)
