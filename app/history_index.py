"""An index of what was said, in SQLite's FTS5: which turns contain a text. A cache: lost or broken, it is made anew.

The texts are kept folded, in pieces of three characters, so that any part of a word is found in any script.
https://www.sqlite.org/fts5.html#the_trigram_tokenizer
"""

import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from app.own_database import NotOurDatabase, check_schema, connect_privately, is_damage, set_database_aside

VERSION = 1
PIECE = 3  # characters
MAX_PIECES = 24  # that are asked for; what has them is looked at for the whole
SCHEMA = """
CREATE TABLE indexed (id INTEGER PRIMARY KEY, changed INTEGER NOT NULL) STRICT;
CREATE VIRTUAL TABLE words USING fts5(text, tokenize='trigram case_sensitive 1', detail=none);
"""
SECONDS = 0.1  # to wait for another window that writes to it; then this search does without


def open_index(path: Path | None) -> "SearchIndex | None":
    """None where there can be none: the disk does not take it, or this SQLite has no FTS5. Of None: in memory."""
    for _ in range(2):
        try:
            return SearchIndex(path)
        except (sqlite3.Error, OSError) as error:
            if path is None or not (isinstance(error, NotOurDatabase) or is_damage(error)):
                return None
            try:
                set_database_aside(path)  # and try once again
            except OSError:
                return None
    return None


class SearchIndex:
    """Raises sqlite3.Error and OSError. Used from one thread."""

    def __init__(self, path: Path | None):
        self._path = path
        self._database = connect_privately(path, SECONDS) if path else sqlite3.connect(":memory:")
        try:
            self._database.isolation_level = None
            if not check_schema(self._database, {VERSION: SCHEMA}):
                self._database.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
        except BaseException:
            self._database.close()
            raise

    def known(self) -> dict[int, int]:
        """By the turn's id: which of its changes is indexed."""
        return dict(self._database.execute("SELECT id, changed FROM indexed").fetchall())

    def put(self, texts: Iterable[tuple[int, int, str]]) -> None:
        """A turn's id, its change and its folded text, instead of what was known of it."""
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            for turn, changed, text in texts:
                self._database.execute("INSERT OR REPLACE INTO words (rowid, text) VALUES (?, ?)", (turn, text))
                self._database.execute("INSERT OR REPLACE INTO indexed VALUES (?, ?)", (turn, changed))

    def forget(self, turns: Iterable[int]) -> None:
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            for turn in turns:
                self._database.execute("DELETE FROM words WHERE rowid = ?", (turn,))
                self._database.execute("DELETE FROM indexed WHERE id = ?", (turn,))

    def matching(self, needle: str) -> set[int]:
        """The turns that contain this folded text."""
        starts = range(min(len(needle) - PIECE + 1, MAX_PIECES))
        pieces = " AND ".join('"{}"'.format(needle[start : start + PIECE].replace('"', '""')) for start in starts)
        where = "words MATCH :pieces AND instr(text, :needle)" if pieces else "instr(text, :needle)"
        rows = self._database.execute(f"SELECT rowid FROM words WHERE {where}", {"pieces": pieces, "needle": needle})
        return {turn for (turn,) in rows}

    def close(self) -> None:
        self._database.close()

    def discard(self) -> None:
        """It is damaged: the next one is made anew."""
        self.close()
        if self._path:
            with suppress(OSError):
                set_database_aside(self._path)
