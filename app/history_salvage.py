"""What can still be read of a damaged file of chats goes on in a new one. The damaged file stays as it is."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

UNTITLED = "A chat without its title"
MAX_ROWS = 200_000
Row = tuple[Any, ...]
TEXTS = {"title", "role", "text", "model", "timings", "problem"}
COLUMNS = {
    "conversation": "id, title, updated",
    "turn": "id, conversation, role, text, created, model, timings, stopped, problem",
}


def salvage(damaged: Path, database: sqlite3.Connection) -> int:
    """The number of chats that came over. `database` is new, empty and of the same version. Never raises for the file.

    Values are taken as they are, byte for byte: whoever reads them doubts them anyway.
    """
    with closing(sqlite3.connect(f"{damaged.absolute().as_uri()}?mode=ro", uri=True)) as source:
        source.text_factory = bytes
        for table, columns in COLUMNS.items():
            names = [f"CAST({name} AS TEXT)" if name in TEXTS else name for name in columns.split(", ")]
            marks = ", ".join("CAST(? AS TEXT)" if name in TEXTS else "?" for name in columns.split(", "))
            insert = f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({marks})"
            for row in _rows(source, f"SELECT {', '.join(names)} FROM {table} NOT INDEXED"):
                _insert(database, table, insert, row)
    (count,) = database.execute("SELECT count(*) FROM conversation").fetchone()
    return int(count)


def _rows(source: sqlite3.Connection, select: str) -> Iterator[Row]:
    """From both ends, each as far as it goes: what is broken is mostly one page in the middle."""
    seen: set[int] = set()
    for order in ("ASC", "DESC"):
        try:
            for row in source.execute(f"{select} ORDER BY id {order}"):
                if len(seen) >= MAX_ROWS:
                    return
                if type(row[0]) is int and row[0] not in seen:
                    seen.add(row[0])
                    yield row
        except sqlite3.Error:
            continue
        return


def _insert(database: sqlite3.Connection, table: str, insert: str, row: Row) -> None:
    try:
        if table == "turn":  # whose chat may be what cannot be read
            database.execute("INSERT OR IGNORE INTO conversation VALUES (?, ?, ?)", (row[1], UNTITLED, row[4]))
        database.execute(insert, row)
    except (sqlite3.Error, OverflowError):
        return  # a value of another kind
