"""Where this person's Slipstreams answer now, for their own commands: a private file of those whose port is open.

A key in it holds for that run alone, so that commands need none of the person's keys.
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
MAX_RUNS = 4  # those that died without a word fall out


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
        _write(path, [Running(url, key, os.getpid()), *_others(path)][:MAX_RUNS])


def forget(path: Path) -> None:
    """What this process has noted, and no more than that. The file stays, if only empty."""
    others = _others(path)
    if others != noted(path):
        with suppress(OSError):
            _write(path, others)


def noted(path: Path) -> list[Running]:
    """The newest first; also those that have died since."""
    with suppress(OSError, ValueError, TypeError):
        known = [Running(**each) for each in json.loads(read_regular(path, MAX_BYTES))]
        return [
            each for each in known if isinstance(each.url, str) and isinstance(each.key, str) and each.key.isascii()
        ]
    return []


def _others(path: Path) -> list[Running]:
    return [each for each in noted(path) if each.pid != os.getpid()]


def _write(path: Path, runs: list[Running]) -> None:
    replace_file(path, json.dumps([asdict(each) for each in runs]).encode() if runs else b"")
