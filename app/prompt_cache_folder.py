"""The folder where engines keep the states of prompts: how large it is, and how to empty it. Knows no engine.

Only files that begin as ours do are counted and deleted: whatever else lies in the folder is the person's own.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

SUFFIXES = (".state", ".part")  # a whole state, and one that is being written
MAGIC = b"SLIPSTAT"


def size(folder: Path) -> int:
    """Bytes; 0 when there is no folder."""
    return sum(num_bytes for _, num_bytes in _files(folder))


def clear(folder: Path) -> int:
    """Delete the states; the bytes that became free. A running engine keeps what it has in memory, and treats a file
    that is gone as one it never had."""
    freed = 0
    for path, num_bytes in list(_files(folder)):
        with suppress(OSError):  # an engine was quicker, or has it open where the system forbids this
            path.unlink()
            freed += num_bytes
    return freed


def _files(folder: Path) -> Iterator[tuple[Path, int]]:
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(SUFFIXES) and entry.is_file(follow_symlinks=False) and _is_ours(entry.path):
                yield Path(entry.path), entry.stat(follow_symlinks=False).st_size


def _is_ours(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False
