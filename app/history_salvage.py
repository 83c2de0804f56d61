"""What can still be read of a file of chats that is damaged, or not as Slipstream makes it. It stays as it is."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.own_database import MAX_VALUE
from backends.regular_file import OddFileError, check_regular

UNTITLED = "A chat without its title"
MAX_ROWS = 200_000  # of a table, the newest: a damaged tree of pages may go round in circles
Row = tuple[Any, ...]
TEXTS = {"title", "folder", "role", "text", "model", "timings", "problem", "reasoning", "sampling", "steps"}
LINKS = {"chosen", "parent"}
FLAGS = {"pinned", "unread", "stopped", "edited", "changed"}
NOWHERE = "0"  # the turn that follows this one, which is none, follows the one before it: so did all in version 1
COLUMNS = {  # None: nothing can be made of a row without it; else what stands in its place
    "conversation": {
        "id": None,
        "title": "''",
        "updated": "0.0",
        "chosen": "NULL",
        "folder": "NULL",
        "pinned": "0",
        "unread": "0",
    },
    "turn": {
        "id": None,
        "conversation": None,
        "role": None,
        "text": None,
        "created": "0.0",
        "model": "NULL",
        "timings": "NULL",
        "stopped": "0",
        "problem": "NULL",
        "parent": NOWHERE,
        "chosen": "NULL",
        "reasoning": "NULL",
        "sampling": "NULL",
        "edited": "0",
        "changed": "0",
        "steps": "NULL",
    },
}
PASSING = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
PASSING_FAULTS = {  # of the memory that readers share, which lies beside the file
    sqlite3.SQLITE_IOERR_SHMOPEN,
    sqlite3.SQLITE_IOERR_SHMSIZE,
    sqlite3.SQLITE_IOERR_SHMMAP,
    sqlite3.SQLITE_IOERR_SHMLOCK,
}


@dataclass(frozen=True, slots=True)
class Salvaged:
    num_chats: int
    is_cut: bool  # there was more than MAX_ROWS


def salvage(damaged: Path, database: sqlite3.Connection, *, is_immutable: bool = False) -> Salvaged:
    """`database` has our tables and nothing in them. What lies in the file never raises, what lies in the disk does.

    Raises sqlite3.Error. is_immutable: without its log, where the folder may not be written to. Values are taken as
    they are, byte for byte: whoever reads them doubts them anyway.
    """
    is_cut = False
    for table, row in _all_rows(damaged, is_immutable):
        is_cut = is_cut or row is None
        if row is not None:
            _insert(database, table, row)
    (count,) = database.execute("SELECT count(*) FROM conversation").fetchone()
    return Salvaged(int(count), is_cut)


def _all_rows(damaged: Path, is_immutable: bool) -> Iterator[tuple[str, Row | None]]:
    """None where a table has more than are taken."""
    try:
        check_regular(damaged)
    except (FileNotFoundError, OddFileError):
        return
    mode = "mode=ro&immutable=1" if is_immutable else "mode=ro"
    with closing(sqlite3.connect(f"{damaged.absolute().as_uri()}?{mode}", uri=True)) as source:
        source.text_factory = bytes
        source.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE)
        source.execute("PRAGMA trusted_schema = OFF")
        for table, columns in COLUMNS.items():
            select = _select(source, table, columns)
            for row in _rows(source, select) if select else ():
                yield table, row


def _select(source: sqlite3.Connection, table: str, columns: Mapping[str, str | None]) -> str | None:
    """None when there is no such table. A view or a virtual table of that name would run somebody else's code."""
    try:
        found = source.execute("SELECT type, sql FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
        rows = source.execute(f"PRAGMA table_info({table})").fetchall()
    except sqlite3.Error as error:
        _raise_what_passes(error)
        return None
    if found is None or found[0] != b"table" or not bytes(found[1] or b"").upper().startswith(b"CREATE TABLE"):
        return None
    there = {bytes(name).decode("utf-8", "replace") for _, name, *_ in rows}
    if any(name not in there for name, default in columns.items() if default is None):
        return None
    chosen = [_as_kind(name) if name in there else default for name, default in columns.items()]
    return f"SELECT {', '.join(map(str, chosen))} FROM {table} NOT INDEXED"


def _as_kind(name: str) -> str:
    """Whatever lies there: a value of another kind would cost its row."""
    if name in TEXTS:
        return f"CAST({name} AS TEXT)"
    if name in FLAGS:
        return f"coalesce(CAST({name} AS INTEGER), 0)"
    return f"CAST({name} AS INTEGER)" if name in LINKS else name


def _rows(source: sqlite3.Connection, select: str) -> Iterator[Row | None]:
    """From both ends, each as far as it goes, the newest first: what is broken is mostly one page in the middle."""
    seen: set[int] = set()
    for order in ("DESC", "ASC"):
        try:
            for row in source.execute(f"{select} ORDER BY id {order}"):
                if type(row[0]) is not int or row[0] in seen:
                    continue
                if len(seen) >= MAX_ROWS:
                    yield None
                    return
                seen.add(row[0])
                yield row
        except sqlite3.Error as error:
            _raise_what_passes(error)
            continue
        return


def _insert(database: sqlite3.Connection, table: str, row: Row) -> None:
    columns = COLUMNS[table]
    marks = ", ".join("CAST(? AS TEXT)" if name in TEXTS else "?" for name in columns)
    try:
        if table == "turn":  # whose chat may be what cannot be read
            database.execute(
                "INSERT OR IGNORE INTO conversation (id, title, updated) VALUES (?, ?, ?)", (row[1], UNTITLED, row[4])
            )
        database.execute(f"INSERT OR IGNORE INTO {table} ({', '.join(columns)}) VALUES ({marks})", row)
    except (sqlite3.IntegrityError, sqlite3.DataError, OverflowError):
        return  # a value of another kind


def _raise_what_passes(error: sqlite3.Error) -> None:
    """What says nothing of the file: another time it could be read."""
    code = getattr(error, "sqlite_errorcode", 0) or 0
    if code & 0xFF in PASSING or code in PASSING_FAULTS:
        raise error
