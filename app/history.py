"""Conversations on disk, in SQLite. Used from one thread, the window's; knows nothing of engines.

Every method commits before it returns, so a process that dies keeps all that it was told is kept.
"""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Any, Final

from app.conversation import ConversationInfo, Role, Turn
from app.history_rows import info_from, storable, text_from, turn_from, unreadable
from app.history_salvage import salvage
from app.in_use import Use
from app.own_database import check_schema
from app.whole_file import reason
from backends.ownership.private import make_private_file, make_private_folder
from backends.protocol import Timings

# one entry per version; a released entry is never edited, a change is a new one
MIGRATIONS = (
    """
    CREATE TABLE conversation (
        id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL, updated REAL NOT NULL
    ) STRICT;
    CREATE TABLE turn (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        conversation INTEGER NOT NULL REFERENCES conversation (id) ON DELETE CASCADE,
        role TEXT NOT NULL, text TEXT NOT NULL, created REAL NOT NULL,
        model TEXT, timings TEXT, stopped INTEGER NOT NULL DEFAULT 0, problem TEXT
    ) STRICT;
    CREATE INDEX turn_by_conversation ON turn (conversation, id);
    CREATE INDEX conversation_by_time ON conversation (updated, id);
    """,
)
MAX_COPY = 256 << 20
NOBODY = -(1 << 63)  # no conversation has this id
PAUSE = 1.0  # seconds to wait for another window that writes; it takes milliseconds
SEARCH = """
    SELECT id, title, updated FROM conversation AS c
    WHERE :needle = '' OR instr(folded(CAST(title AS BLOB)), :needle) OR EXISTS
        (SELECT 1 FROM turn WHERE conversation = c.id AND instr(folded(CAST(text AS BLOB)), :needle))
    ORDER BY updated DESC, id DESC
"""
TURNS = "SELECT id, role, text, created, model, timings, stopped, problem FROM turn"
FAULTS = (sqlite3.Error, KeyError)  # what every method of History may raise
REASONS = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: "the file, or its folder, may not be written to",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened",
    sqlite3.SQLITE_BUSY: "another program holds the file",
    sqlite3.SQLITE_LOCKED: "another program holds the file",
    sqlite3.SQLITE_IOERR: "the disk did not take it, or is full",
    sqlite3.SQLITE_TOOBIG: "it is too long",
    sqlite3.SQLITE_CORRUPT: "the file is damaged",
    sqlite3.SQLITE_NOTADB: "the file is damaged",
}


class _Unset(Enum):
    UNSET = "unset"


UNSET: Final = _Unset.UNSET


class History:
    """Raises sqlite3.Error when the disk or the file fails, and KeyError for an id that is not there."""

    def __init__(self, path: Path | None, copy_of: Path | None = None):
        """None keeps everything in memory; copy_of: and begins with what is in that file. Raises NotOurDatabase."""
        self.path = path
        self._use: Use | None = None
        if path:
            make_private_folder(path.parent)
            make_private_file(path)
        self._database = sqlite3.connect(path or ":memory:", PAUSE, isolation_level=None)
        try:
            if copy_of:
                self._copy(copy_of)
            self._prepare()
        except BaseException:
            self._database.close()
            raise

    def conversations(self, search: str = "") -> list[ConversationInfo]:
        """Newest first; with `search`, those whose title or any turn contains it, whatever the case."""
        needle = storable(search.strip().casefold())
        try:
            return [info_from(row) for row in self._database.execute(SEARCH, {"needle": needle})]
        except sqlite3.DataError:  # one of the texts is larger than any may be
            ids = self._database.execute("SELECT id FROM conversation ORDER BY updated DESC, id DESC").fetchall()
            infos = [self._conversation(row_id) for (row_id,) in ids]
            return [info for info in infos if needle in info.title.casefold() or self._is_said(needle, info.id)]

    def create(self, title: str = "") -> ConversationInfo:
        now, title = time.time(), storable(title)
        cursor = self._database.execute("INSERT INTO conversation (title, updated) VALUES (?, ?)", (title, now))
        assert cursor.lastrowid is not None
        return ConversationInfo(cursor.lastrowid, title, now)

    def turns(self, conversation_id: int) -> list[Turn]:
        """A row that cannot be read is a turn that says so."""
        where = f"{TURNS} WHERE conversation = ? ORDER BY id"
        try:
            return [turn_from(row) for row in self._database.execute(where, (conversation_id,))]
        except sqlite3.DataError:  # one of them is larger than any text may be
            ids = self._database.execute("SELECT id FROM turn WHERE conversation = ? ORDER BY id", (conversation_id,))
            return [self._turn(turn_id) for (turn_id,) in ids.fetchall()]

    def append(self, conversation_id: int, role: Role, text: str, model: str | None = None) -> Turn:
        now, text = time.time(), storable(text)
        with self._transaction():
            self._touch(conversation_id, now)
            cursor = self._database.execute(
                "INSERT INTO turn (conversation, role, text, created, model) VALUES (?, ?, ?, ?, ?)",
                (conversation_id, role.value, text, now, model),
            )
        assert cursor.lastrowid is not None
        return Turn(cursor.lastrowid, role, text, now, model)

    def update(
        self,
        turn_id: int,
        *,
        text: str | _Unset = UNSET,
        timings: Timings | _Unset | None = UNSET,
        stopped: bool | _Unset = UNSET,
        problem: str | _Unset | None = UNSET,
    ) -> None:
        """Change only what is given; None takes timings or problem away."""
        given: dict[str, Any] = {"text": text, "stopped": stopped, "problem": problem}
        given["timings"] = json.dumps(asdict(timings)) if isinstance(timings, Timings) else timings
        changes = {name: storable(value) for name, value in given.items() if value is not UNSET}
        if not changes:
            return
        columns = ", ".join(f"{name} = :{name}" for name in changes)
        cursor = self._database.execute(f"UPDATE turn SET {columns} WHERE id = :id", {**changes, "id": turn_id})
        _require(cursor, turn_id)

    def delete_turns_from(self, turn_id: int) -> None:
        """This turn and the later ones of its conversation."""
        cursor = self._database.execute(
            "DELETE FROM turn WHERE id >= :id AND conversation = (SELECT conversation FROM turn WHERE id = :id)",
            {"id": turn_id},
        )
        _require(cursor, turn_id)

    def rename(self, conversation_id: int, title: str) -> None:
        """Does not count as news: the list keeps its order."""
        cursor = self._database.execute(
            "UPDATE conversation SET title = ? WHERE id = ?", (storable(title), conversation_id)
        )
        _require(cursor, conversation_id)

    def delete(self, conversation_id: int) -> None:
        """With its turns. One that is gone already is no error."""
        self._database.execute("DELETE FROM conversation WHERE id = ?", (conversation_id,))

    def take_over(self, damaged: Path, *, is_immutable: bool = False) -> int:
        """What can be read of a damaged file; the number of chats. This history must be new. Raises sqlite3.Error."""
        with self._transaction():
            return salvage(damaged, self._database, is_immutable=is_immutable).num_chats

    def hold(self, use: Use) -> None:
        """Others are told so long that the file is open."""
        self._use = use

    def close(self) -> None:
        self._database.close()
        if self._use:
            self._use.end()

    def _conversation(self, conversation_id: int) -> ConversationInfo:
        try:
            row = "SELECT id, title, updated FROM conversation WHERE id = ?"
            return info_from(self._database.execute(row, (conversation_id,)).fetchone())
        except sqlite3.DataError:
            return ConversationInfo(conversation_id, "A chat with a damaged title", 0.0)

    def _is_said(self, needle: str, conversation_id: int) -> bool:
        return any(needle in turn.text.casefold() for turn in self.turns(conversation_id))

    def _turn(self, turn_id: int) -> Turn:
        try:
            return turn_from(self._database.execute(f"{TURNS} WHERE id = ?", (turn_id,)).fetchone())
        except sqlite3.DataError:
            return unreadable(turn_id, "it is too large")

    def _copy(self, path: Path) -> None:
        """Of a file that may only be read; without its log, as its last quiet moment has left it, where that is all."""
        if path.stat().st_size > MAX_COPY:
            raise OSError(None, "it is too large to be kept in memory")
        try:
            self._copy_as(path, "mode=ro")
        except sqlite3.OperationalError:  # the memory that readers of a log share cannot be made
            self._copy_as(path, "mode=ro&immutable=1")

    def _copy_as(self, path: Path, mode: str) -> None:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", PAUSE, uri=True)) as source:
            check_pages(source)
            source.backup(self._database)

    def _prepare(self) -> None:
        database = self._database
        database.text_factory = text_from
        database.create_function("folded", 1, _folded, deterministic=True)
        with self._transaction("DEFERRED"):  # version and tables of one moment
            check_schema(database, scripts())
            is_current = self._version() == len(MIGRATIONS)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute("PRAGMA foreign_keys = ON")
        if not is_current:
            self._migrate()
        self._try_to_write()

    def _try_to_write(self) -> None:
        """Better known at the start than when something has to be kept."""
        try:
            self._database.execute("BEGIN IMMEDIATE")
            with suppress(KeyError):
                self.rename(NOBODY, "")
            self._database.execute("ROLLBACK")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:  # another window does
                raise

    def _version(self) -> int:
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        return int(version)

    def _migrate(self) -> None:
        """One transaction: a death in between leaves the old version, and another process has to wait for the new."""
        with self._transaction():
            check_schema(self._database, scripts())
            for script in MIGRATIONS[self._version() :]:
                for statement in _statements(script):
                    self._database.execute(statement)
            self._database.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    @contextmanager
    def _transaction(self, kind: str = "IMMEDIATE") -> Iterator[None]:
        self._database.execute(f"BEGIN {kind}")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # a full disk has rolled it back already
                self._database.execute("ROLLBACK")
            raise

    def _touch(self, conversation_id: int, now: float) -> None:
        cursor = self._database.execute(
            "UPDATE conversation SET updated = max(updated, ?) WHERE id = ?", (now, conversation_id)
        )
        _require(cursor, conversation_id)


def why(error: Exception) -> str:
    """Of one of FAULTS, as the end of a sentence."""
    if isinstance(error, KeyError):
        return "the chat is not there any more"
    if isinstance(error, OSError):
        return reason(error)
    return REASONS.get((getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF, str(error))


def scripts() -> dict[int, str]:
    return {version: "".join(MIGRATIONS[:version]) for version in range(1, len(MIGRATIONS) + 1)}


def check_pages(database: sqlite3.Connection) -> None:
    """The indexes too, which say where turns are: one that lies would hide them."""
    (answer,) = database.execute("PRAGMA integrity_check(1)").fetchone()
    if answer != "ok" or database.execute("PRAGMA foreign_key_check").fetchone():
        error = sqlite3.DatabaseError(answer)
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for piece in script.split(";")[:-1]:
        statement += f"{piece};"
        if sqlite3.complete_statement(statement):  # and not in the middle of a trigger
            yield statement
            statement = ""


def _folded(content: bytes) -> str:
    return content.decode("utf-8", "replace").casefold()


def _require(cursor: sqlite3.Cursor, row_id: int) -> None:
    if not cursor.rowcount:
        raise KeyError(row_id)
