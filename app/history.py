"""Conversations on disk, in SQLite. Used from one thread, the window's; knows nothing of engines.

Every method commits before it returns, so a process that dies keeps all that it was told is kept.
"""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields
from enum import Enum
from pathlib import Path
from typing import Any, Final

from app.conversation import ConversationInfo, Role, Turn
from app.settings import set_aside
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
CORRUPT_CODES = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class _Unset(Enum):
    UNSET = "unset"


UNSET: Final = _Unset.UNSET


class NewerHistoryError(Exception):
    """A later Slipstream has written this file."""


class History:
    """Raises sqlite3.Error when the disk or the file fails, and KeyError for an id that is not there."""

    def __init__(self, path: Path | None):
        """None keeps everything in memory. Raises NewerHistoryError."""
        if path:
            make_private_folder(path.parent)
            make_private_file(path)
        self._database = sqlite3.connect(path or ":memory:", isolation_level=None)
        try:
            self._prepare()
        except BaseException:
            self._database.close()
            raise

    def conversations(self, search: str = "") -> list[ConversationInfo]:
        """Newest first; with `search`, those whose title or any turn contains it, whatever the case."""
        rows = self._database.execute(
            """
            SELECT id, title, updated FROM conversation AS c
            WHERE :needle = '' OR instr(casefold(title), :needle) OR EXISTS
                (SELECT 1 FROM turn WHERE conversation = c.id AND instr(casefold(text), :needle))
            ORDER BY updated DESC, id DESC
            """,
            {"needle": search.strip().casefold()},
        )
        return [ConversationInfo(*row) for row in rows]

    def create(self, title: str = "") -> ConversationInfo:
        now = time.time()
        cursor = self._database.execute("INSERT INTO conversation (title, updated) VALUES (?, ?)", (title, now))
        assert cursor.lastrowid is not None
        return ConversationInfo(cursor.lastrowid, title, now)

    def turns(self, conversation_id: int) -> list[Turn]:
        rows = self._database.execute(
            "SELECT id, role, text, created, model, timings, stopped, problem FROM turn"
            " WHERE conversation = ? ORDER BY id",
            (conversation_id,),
        )
        return [_turn(row) for row in rows]

    def append(self, conversation_id: int, role: Role, text: str, model: str | None = None) -> Turn:
        now = time.time()
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
        changes = {name: value for name, value in given.items() if value is not UNSET}
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
        cursor = self._database.execute("UPDATE conversation SET title = ? WHERE id = ?", (title, conversation_id))
        _require(cursor, conversation_id)

    def delete(self, conversation_id: int) -> None:
        """With its turns. One that is gone already is no error."""
        self._database.execute("DELETE FROM conversation WHERE id = ?", (conversation_id,))

    def close(self) -> None:
        self._database.close()

    def _prepare(self) -> None:
        database = self._database
        database.create_function("casefold", 1, str.casefold, deterministic=True)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute("PRAGMA foreign_keys = ON")
        _check(database)
        self._migrate()

    def _migrate(self) -> None:
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS):
            raise NewerHistoryError(f"version {version}")
        for number, script in enumerate(MIGRATIONS[version:], version + 1):
            # one transaction with its number, or a death in between would run it twice
            self._database.executescript(f"BEGIN; {script} PRAGMA user_version = {number}; COMMIT;")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def _touch(self, conversation_id: int, now: float) -> None:
        cursor = self._database.execute(
            "UPDATE conversation SET updated = max(updated, ?) WHERE id = ?", (now, conversation_id)
        )
        _require(cursor, conversation_id)


def open_history(path: Path) -> tuple[History, str | None]:
    """The history, and a sentence for a banner when the file on disk could not be used."""
    try:
        return History(path), None
    except NewerHistoryError:
        return _start_anew(path, "The chats on disk are from a newer Slipstream.")
    except (sqlite3.Error, OSError) as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in CORRUPT_CODES:
            return _start_anew(path, "The file with the chats was damaged.")
        return _in_memory(error)


def _start_anew(path: Path, reason: str) -> tuple[History, str | None]:
    try:
        target = set_aside(path)
        for suffix in ("-wal", "-shm"):  # they belong to the damaged file and would spoil a new one
            with suppress(FileNotFoundError):
                path.with_name(path.name + suffix).replace(target.with_name(target.name + suffix))
        return History(path), f"{reason} It is kept as {target.name}, and a new one was begun."
    except (sqlite3.Error, OSError) as error:
        return _in_memory(error)


def _in_memory(error: Exception) -> tuple[History, str | None]:
    return History(None), f"The chats on disk cannot be opened ({error}). New chats are lost when you quit."


def _check(database: sqlite3.Connection) -> None:
    (answer,) = database.execute("PRAGMA quick_check(1)").fetchone()
    if answer != "ok":
        error = sqlite3.DatabaseError(answer)
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error


def _require(cursor: sqlite3.Cursor, row_id: int) -> None:
    if not cursor.rowcount:
        raise KeyError(row_id)


def _turn(row: tuple[Any, ...]) -> Turn:
    turn_id, role, text, created, model, timings, stopped, problem = row
    return Turn(turn_id, Role(role), text, created, model, _timings(timings), bool(stopped), problem)


def _timings(column: str | None) -> Timings | None:
    """Fields that this version does not know, or lacks, do no harm."""
    if column is None:
        return None
    known = {field.name for field in fields(Timings)}
    return Timings(**{name: value for name, value in json.loads(column).items() if name in known})
