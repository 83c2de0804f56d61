"""Questions to the machine, as values: a test hands over others. Knows nothing of what is looked for."""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

MAX_SAID = 1 << 16  # characters of a program's answer
MAX_TEXT = 4096  # bytes of a file in /sys or /proc
PATIENCE = 15.0  # seconds: nvidia-smi takes one where the driver has to wake the card


def _run(command: tuple[str, ...]) -> str | None:
    """What it says on stdout; None when it cannot be run, fails or hangs."""
    try:
        done = subprocess.run(
            command, capture_output=True, stdin=subprocess.DEVNULL, timeout=PATIENCE, check=False, env=_plain()
        )
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return done.stdout.decode("utf-8", "replace")[:MAX_SAID] if done.returncode == 0 else None


def _plain() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C"}


def _read(path: str) -> str | None:
    """The text of a small file; None when it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(MAX_TEXT).decode("utf-8", "replace").strip()
    except OSError:
        return None


def _glob(folder: str, pattern: str) -> list[str]:
    try:
        return sorted(str(path) for path in Path(folder).glob(pattern))
    except OSError:
        return []


@dataclass(frozen=True, slots=True)
class Probes:
    """which: as shutil's. run: a command's stdout or None. read: a file's text or None. glob: paths in a folder."""

    which: Callable[[str], str | None] = shutil.which
    run: Callable[[tuple[str, ...]], str | None] = _run
    read: Callable[[str], str | None] = _read
    glob: Callable[[str, str], list[str]] = _glob
    system: str = sys.platform
    processor: str = platform.machine()
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
