"""What is checked before a SQLite file is believed to be ours, and what becomes of one that is not. Knows no tables."""

import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path

from app.whole_file import keep_copy, set_aside
from app.write_ahead_log import LogState, look_at_log
from backends.ownership.private import make_private_file, make_private_folder
from backends.regular_file import OddFileError, check_regular

COMPANIONS = ("-wal", "-shm", "-journal")  # they belong to the file, and would spoil a new one
DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}
OBJECTS = "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE substr(name, 1, 7) <> 'sqlite_' ORDER BY name"
SMALLEST = 512  # bytes of a page: what is less counts as nothing for SQLite, and is written over
MAX_VALUE = 64 << 20  # bytes of one text


class NotOurDatabase(sqlite3.DatabaseError):
    """A sound database, but not one that Slipstream has made. str() of it is the end of a sentence."""


class NewerDatabase(NotOurDatabase):
    """A later Slipstream has written it."""


def clear_the_way(path: Path) -> list[Path]:
    """Keeps what lies beside it and SQLite would hang on, delete or write over: what is no file, a log that is damaged,
    and one whose database is gone.

    Returns where that is now. Raises NotOurDatabase when the database itself is no file, and OSError.
    """
    moved = []
    companions = [path.with_name(path.name + suffix) for suffix in COMPANIONS]
    for companion in companions:
        try:
            check_regular(companion)
        except FileNotFoundError:
            continue
        except OddFileError:
            moved.append(set_aside(companion))
    try:
        check_regular(path)
    except FileNotFoundError:
        pass
    except OddFileError as fault:
        raise NotOurDatabase(str(fault.strerror)) from fault
    if 0 < _size(path) < SMALLEST:
        raise NotOurDatabase("it is cut short")
    log = companions[0]
    state = look_at_log(log)
    if state is LogState.STRANGE or (_size(log) and not _size(path)):
        moved += [set_aside(companion) for companion in companions if os.path.lexists(companion)]
    elif state is LogState.CUT:
        moved.append(keep_copy(log))
    return moved


def connect_privately(path: Path, seconds: float) -> sqlite3.Connection:
    """To a database that only its owner reads, in a folder of the same kind; both are made if they are not there.

    seconds: to wait for somebody else's lock. Raises OSError, for a link too: whatever it leads to is not written."""
    make_private_folder(path.parent)
    clear_the_way(path)
    if path.is_symlink():
        raise OSError(f"{path} is a link")
    make_private_file(path)
    return sqlite3.connect(path, timeout=seconds)


def check_schema(database: sqlite3.Connection, scripts: Mapping[int, str]) -> bool:
    """False for an empty database, which is new. Raises NotOurDatabase for one that these scripts have not made.

    scripts: what makes a database of each version that can be read. They are compared word for word: a view, a trigger
    or a default of somebody else's would run whenever it is read or written.
    """
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE)
    (found,) = database.execute("PRAGMA user_version").fetchone()
    objects = _objects(database)
    if found == 0 and not objects:
        return False
    if found > max(scripts):
        raise NewerDatabase(f"version {found}")
    with closing(sqlite3.connect(":memory:")) as ours:
        ours.executescript(scripts.get(found, ""))
        if found not in scripts or objects != _objects(ours):
            raise NotOurDatabase("its tables are not those of Slipstream")
    return True


def is_damage(error: Exception) -> bool:
    """Whether it lies in the file, and not in a full or locked disk. By the low byte of SQLite's code."""
    return (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF in DAMAGED


def set_database_aside(path: Path) -> Path:
    """With what belongs to it, under one name, which is returned. Raises OSError."""
    target = set_aside(path)
    for suffix in COMPANIONS:
        with suppress(FileNotFoundError):
            os.rename(path.with_name(path.name + suffix), target.with_name(target.name + suffix))
    return target


def _objects(database: sqlite3.Connection) -> list[tuple[bytes | None, ...]]:
    """Byte for byte: what somebody else has written into the schema need not be text."""
    factory, database.text_factory = database.text_factory, bytes
    try:
        return database.execute(OBJECTS).fetchall()
    finally:
        database.text_factory = factory


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
