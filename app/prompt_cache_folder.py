"""The folder where engines keep the states of prompts: how large it is, and how to empty it. Knows no engine."""

from contextlib import suppress
from pathlib import Path

from backends.formats import kept_prompts


def size(folder: Path) -> int:
    """Bytes; 0 when there is no folder."""
    with suppress(OSError):
        return sum(file.num_bytes for file in kept_prompts.our_files(folder))
    return 0


def clear(folder: Path) -> int:
    """Delete the states; the bytes that became free. A running engine keeps what it has in memory, and treats a file
    that is gone as one it never had."""
    with suppress(OSError):
        return sum(file.num_bytes for file in kept_prompts.clear(folder))
    return 0
