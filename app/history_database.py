"""The file of the chats as a connection: opened, brought up to the present version, locked for a change. Knows no rows.

Used from one thread, the window's.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from app.history_rows import text_from
from app.history_schema import newest, scripts, statements_since
from app.own_database import check_schema
from app.whole_file import reason
from backends.ownership.private import make_private_file, make_private_folder

MAX_COPY = 256 << 20
PAUSE = 1.0  # seconds to wait for another window that writes; it takes milliseconds
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


def open_database(path: Path | None, copy_of: Path | None = None) -> sqlite3.Connection:
    """None keeps everything in memory; copy_of: and begins with what is in that file.

    Raises sqlite3.Error, OSError and NotOurDatabase.
    """
    if path:
        make_private_folder(path.parent)
        make_private_file(path)
    database = sqlite3.connect(path or ":memory:", PAUSE, isolation_level=None)
    try:
        if copy_of:
            _copy(copy_of, database)
        _prepare(database)
    except BaseException:
        database.close()
        raise
    return database


@contextmanager
def transaction(database: sqlite3.Connection, kind: str = "IMMEDIATE") -> Iterator[None]:
    database.execute(f"BEGIN {kind}")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # a full disk has rolled it back already
            database.execute("ROLLBACK")
        raise


def check_pages(database: sqlite3.Connection) -> None:
    """The indexes too, which say where turns are: one that lies would hide them."""
    (answer,) = database.execute("PRAGMA integrity_check(1)").fetchone()
    if answer != "ok" or database.execute("PRAGMA foreign_key_check").fetchone():
        error = sqlite3.DatabaseError(answer)
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error


def why(error: Exception) -> str:
    """Of one of FAULTS, as the end of a sentence."""
    if isinstance(error, KeyError):
        return "the chat is not there any more"
    if isinstance(error, OSError):
        return reason(error)
    return REASONS.get((getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF, str(error))


def _copy(path: Path, database: sqlite3.Connection) -> None:
    """Of a file that may only be read; without its log, as its last quiet moment has left it, where that is all."""
    if path.stat().st_size > MAX_COPY:
        raise OSError(None, "it is too large to be kept in memory")
    try:
        _copy_as(path, "mode=ro", database)
    except sqlite3.OperationalError:  # the memory that readers of a log share cannot be made
        _copy_as(path, "mode=ro&immutable=1", database)


def _copy_as(path: Path, mode: str, database: sqlite3.Connection) -> None:
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", PAUSE, uri=True)) as source:
        check_pages(source)
        source.backup(database)


def _prepare(database: sqlite3.Connection) -> None:
    database.text_factory = text_from
    with transaction(database, "DEFERRED"):  # version and tables of one moment
        check_schema(database, scripts())
        is_current = _version(database) == newest()
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")
    database.execute("PRAGMA foreign_keys = ON")
    if not is_current:
        _migrate(database)
    _try_to_write(database)


def _try_to_write(database: sqlite3.Connection) -> None:
    """Better known at the start than when something has to be kept."""
    try:
        database.execute("BEGIN IMMEDIATE")
        database.execute("UPDATE conversation SET title = title WHERE id IS NULL")  # of none
        database.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:  # another window does
            raise


def _version(database: sqlite3.Connection) -> int:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    return int(version)


def _migrate(database: sqlite3.Connection) -> None:
    """One transaction: a death in between leaves the old version, and another process has to wait for the new."""
    with transaction(database):
        check_schema(database, scripts())
        for statement in statements_since(_version(database)):
            database.execute(statement)
        database.execute(f"PRAGMA user_version = {newest()}")
