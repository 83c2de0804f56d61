"""How much RAM there is for this process and its children: the machine's, and less in a container or a group of
processes that the system gives less to (Linux control groups, versions 1 and 2)."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

GROUPS, OWN_GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
EVENTS = Path("/proc/vmstat")
MAX_DEPTH = 32


@dataclass(frozen=True, slots=True)
class SystemMemory:
    """Bytes. available: without taking any from others; pages of files count, which the system drops when asked."""

    available: int
    total: int


@dataclass(frozen=True, slots=True)
class _Names:
    """Of a group's files."""

    limit: str
    usage: str
    file_pages: tuple[str, str]  # in memory.stat


FIRST = _Names(
    "memory.limit_in_bytes", "memory.usage_in_bytes", ("total_active_file", "total_inactive_file")
)  # fmt: skip
SECOND = _Names("memory.max", "memory.current", ("active_file", "inactive_file"))


def system_memory(groups: Path = GROUPS, own: Path = OWN_GROUPS) -> SystemMemory:
    """Raises OSError where the process has no file left to ask with."""
    machine = psutil.virtual_memory()
    found = SystemMemory(machine.available, machine.total)
    for folder, names in _own_groups(groups, own):
        with suppress(OSError, ValueError, LookupError):
            limit = int((folder / names.limit).read_text())  # "max" where there is none
            if limit < found.total:
                free = max(0, limit - _held(folder, names))
                found = SystemMemory(min(found.available, free), limit)
    return found


def num_killed_for_memory(events: Path = EVENTS) -> int | None:
    """Processes that Linux has ended since its start because memory ran out, for the machine or for a group; None where
    the system does not tell."""
    with suppress(OSError, ValueError):
        for line in events.read_text().splitlines():
            name, _, number = line.partition(" ")
            if name == "oom_kill":
                return int(number)
    return None


def _own_groups(groups: Path, own: Path) -> Iterator[tuple[Path, _Names]]:
    """Those that hold this process, up to the first: each has a limit for all below it."""
    try:
        lines = own.read_text().splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        _, _, rest = line.partition(":")
        kinds, _, path = rest.partition(":")
        if kinds and "memory" not in kinds.split(","):
            continue
        root, names = (groups / "memory", FIRST) if kinds else (groups, SECOND)
        below = Path(path.lstrip("/"))
        for each in (below, *list(below.parents)[:MAX_DEPTH]):
            yield root / each, names


def _held(folder: Path, names: _Names) -> int:
    """Bytes that cannot be dropped."""
    used = int((folder / names.usage).read_text())
    figures = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    return used - sum(int(figures[name]) for name in names.file_pages)
