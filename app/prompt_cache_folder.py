"""The folder where engines keep the states of prompts: how large it is, and how to empty it. Knows no engine.

Only files that begin as ours do are counted and deleted: whatever else lies in the folder is the person's own.
"""

from contextlib import suppress
from pathlib import Path

from backends.formats.kept_prompts import MAGIC, KeptFile, kept_files, remove


def size(folder: Path) -> int:
    """Bytes; 0 when there is no folder."""
    return sum(file.num_bytes for file in _files(folder))


def clear(folder: Path) -> int:
    """Delete the states; the bytes that became free. A running engine keeps what it has in memory, and treats a file
    that is gone as one it never had."""
    return sum(file.num_bytes for file in _files(folder) if remove(file.path))


def _files(folder: Path) -> list[KeptFile]:
    with suppress(OSError):
        return [file for file in kept_files(folder) if _is_ours(file.path)]
    return []


def _is_ours(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False
