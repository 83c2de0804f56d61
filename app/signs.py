"""Whether a folder is surely Slipstream's, told by the content of a file in it: names alone are everybody's.

Knows how our files begin, and reads no more of them.
"""

import os
import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

from backends.ownership.mark import NAME as MARK
from backends.ownership.mark import is_mark_of
from backends.regular_file import FLAGS, check_regular

NUM_BYTES = 1 << 16  # the largest page of SQLite: the first one holds the tables' words
DATABASE = b"SQLite format 3\0"


def _is_settings(head: bytes) -> bool:
    return head.startswith(b"version = 1\n") and b"\nkv_type_k = " in head and b"\nkv_type_v = " in head


def _is_history(head: bytes) -> bool:
    return head.startswith(DATABASE) and b"CREATE TABLE conversation (" in head and b"CREATE TABLE turn (" in head


def _is_index(head: bytes) -> bool:
    return head.startswith(DATABASE) and b"CREATE TABLE headers (\n    path BLOB PRIMARY KEY" in head


def _is_remarks(head: bytes) -> bool:
    return b"".join(head.split()).startswith(b'{"version":1,"models":{')


def _is_card(head: bytes) -> bool:
    return re.match(rb'{"version":\d+,"card":{"identity":', b"".join(head.split())) is not None


SIGNS: tuple[tuple[str, Callable[[bytes], bool]], ...] = (
    ("settings.toml", _is_settings),
    ("slipstream.sqlite3", _is_history),
    ("library.sqlite3", _is_index),
    ("library.json", _is_remarks),
    ("*.card.json", _is_card),
)


def is_surely_ours(folder: Path) -> bool:
    """Never of an empty folder, and of one that cannot be read."""
    try:
        names = sorted(os.listdir(folder))
        return any(_is_sign(folder / name) or _bears_mark(folder / name) for name in names)
    except OSError:
        return False


def _is_sign(path: Path) -> bool:
    return any(fnmatchcase(path.name, pattern) and is_ours(_head(path)) for pattern, is_ours in SIGNS)


def _bears_mark(path: Path) -> bool:
    """The mark itself, or a folder that bears it: we made that one, and hardly anybody else its parent."""
    mark = path if path.name == MARK else path / MARK
    return is_mark_of(_head(mark), mark.parent.name)


def _head(path: Path) -> bytes:
    """Nothing of what is no regular file, or is a link."""
    try:
        if path.is_symlink():
            return b""
        check_regular(path)
        with os.fdopen(os.open(path, FLAGS), "rb") as file:
            return file.read(NUM_BYTES)
    except OSError:
        return b""
