"""Remembers headers, so that only new and changed files are opened. A cache: lost or broken, it is made anew."""

import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import astuple
from pathlib import Path

from app.library.facts import Facts, read_facts
from app.library.found import Found
from backends.ownership.files import delete_file
from backends.ownership.private import make_private_file, make_private_folder

VERSION = 1
SCHEMA = """
CREATE TABLE IF NOT EXISTS headers (
    path TEXT PRIMARY KEY, bytes INTEGER, mtime_ns INTEGER, inode TEXT, is_model INTEGER, name TEXT,
    architecture TEXT, parameters INTEGER, quantization TEXT, context INTEGER, problem TEXT
) WITHOUT ROWID
"""
SECONDS = 1.0  # to wait for another process that writes; then this one does without
Identity = tuple[int, int, int]


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
        self._known[found.path] = self._unsaved[found.path] = (found.identity, facts)
        return facts

    def save(self) -> None:
        """Writes down what was read since the last time."""
        if not self._unsaved:
            return
        rows = [
            (path, identity[0], identity[1], str(identity[2]), *astuple(facts))
            for path, (identity, facts) in self._unsaved.items()
        ]
        self._unsaved = {}
        with suppress(sqlite3.Error, OSError), closing(self._open()) as database, database:
            database.executemany(f"INSERT OR REPLACE INTO headers VALUES ({', '.join('?' * len(rows[0]))})", rows)

    def _load(self) -> dict[str, tuple[Identity, Facts]]:
        try:
            with closing(self._open()) as database:
                rows = database.execute("SELECT * FROM headers").fetchall()
            return {row[0]: ((row[1], row[2], int(row[3])), Facts(bool(row[4]), *row[5:])) for row in rows}
        except (sqlite3.Error, OSError, ValueError, TypeError):
            with suppress(OSError):
                if not self._path.is_symlink():
                    delete_file(self._path)
            return {}

    def _open(self) -> sqlite3.Connection:
        if self._path.is_symlink():  # to whatever it leads, it is not written there
            raise OSError(f"{self._path} is a link")
        make_private_folder(self._path.parent)
        make_private_file(self._path)
        database = sqlite3.connect(self._path, timeout=SECONDS)
        try:
            if database.execute("PRAGMA user_version").fetchone()[0] != VERSION:
                database.execute("DROP TABLE IF EXISTS headers")
                database.execute(SCHEMA)
                database.execute(f"PRAGMA user_version = {VERSION}")
                database.commit()
        except BaseException:
            database.close()
            raise
        return database
