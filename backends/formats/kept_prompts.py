"""The folder of kept prompts: which of its files are ours. What is in them is the prompt cache's business."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

SUFFIX, TEMPORARY = ".state", ".part"
MAGIC = b"SLIPSTAT"  # every file begins with it


@dataclass(frozen=True, slots=True)
class KeptFile:
    path: Path
    num_bytes: int
    used: float  # time of last use, seconds since the epoch


def kept_files(folder: Path) -> list[KeptFile]:
    """By their names; links and folders are none. Raises OSError for a folder that cannot be read."""
    files = []
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):  # another process removed it
                if entry.is_file(follow_symlinks=False) and entry.name.endswith((SUFFIX, TEMPORARY)):
                    status = entry.stat(follow_symlinks=False)
                    files.append(KeptFile(Path(entry.path), status.st_size, status.st_mtime))
    return files


def our_files(folder: Path) -> list[KeptFile]:
    """Those of them that begin as ours do: what a person may be shown, and may have deleted. Raises OSError."""
    return [file for file in kept_files(folder) if _is_ours(file.path)]


def remove(path: Path) -> bool:
    """False when it is still there: Windows keeps what another process reads."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return False
    return True


def clear(folder: Path) -> list[KeptFile]:
    """Remove them all and return those that went. An engine that runs takes it as a miss. Raises OSError."""
    return [file for file in our_files(folder) if remove(file.path)]


def _is_ours(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False
