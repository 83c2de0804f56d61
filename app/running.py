"""Where this person's Slipstream answers now, for their own commands: a private file, as long as its port is open.

The key in it holds for that run alone, so that commands need none of the person's keys.
"""

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from app.whole_file import replace_file
from backends.ownership.private import make_private_folder
from backends.regular_file import read_regular

MAX_BYTES = 1 << 12


@dataclass(frozen=True, slots=True)
class Running:
    """url: of the port, from this machine. pid: of the process that has it open."""

    url: str
    key: str
    pid: int


def note(path: Path, url: str, key: str) -> None:
    """Of this process. A disk that takes no file costs the commands their way to it."""
    with suppress(OSError):
        make_private_folder(path.parent)
        replace_file(path, json.dumps(asdict(Running(url, key, os.getpid()))).encode())


def forget(path: Path) -> None:
    """What this process has noted, and no more than that: another one may have done so since. The file stays, empty."""
    known = noted(path)
    if known and known.pid == os.getpid():
        with suppress(OSError):
            replace_file(path, b"")


def noted(path: Path) -> Running | None:
    """Also one that has died since. None: there is none."""
    with suppress(OSError, ValueError, TypeError):
        known = Running(**json.loads(read_regular(path, MAX_BYTES)))
        if isinstance(known.url, str) and isinstance(known.key, str) and known.key.isascii():
            return known
    return None
