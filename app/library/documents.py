"""Small files of other programs, read with bounds and remembered until they change. Never raises, never writes."""

import json
import os
import stat
from functools import lru_cache
from typing import Any

MAX_BYTES = 4 << 20
NUM_REMEMBERED = 4096
MAX_REMEMBERED = 64 << 10  # bytes of one; 4,096 hostile ones would else fill the memory


def read_bytes(path: str, limit: int = MAX_BYTES) -> bytes:
    """At most `limit` bytes of a regular file; nothing of one that cannot be read."""
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            return b""
        if min(status.st_size, limit) > MAX_REMEMBERED:
            return _read(path, limit)
        return _content(path, limit, (status.st_size, status.st_mtime_ns, status.st_ino))
    except (OSError, ValueError):  # ValueError: a path that can be none
        return b""


@lru_cache(NUM_REMEMBERED)
def _content(path: str, limit: int, _identity: tuple[int, int, int]) -> bytes:
    """A listing asks for the same documents again and again; with another identity it is another document."""
    return _read(path, limit)


def _read(path: str, limit: int) -> bytes:
    with open(path, "rb", opener=_open_at_once) as file:
        return file.read(limit)


def read_text(path: str, limit: int) -> str:
    return read_bytes(path, limit).decode("utf-8", "replace").strip()


def read_document(path: str) -> dict[str, Any]:
    """A JSON object; an empty one for anything else."""
    return parsed_document(read_bytes(path))


def parsed_document(content: bytes) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def read_settings(path: str) -> dict[str, str | list[str]]:
    """The top level of a YAML file of plain texts and lists of them, which is all that is needed of Jan's."""
    result: dict[str, str | list[str]] = {}
    key = ""
    for line in read_text(path, MAX_BYTES).splitlines():
        if line.lstrip().startswith("#") or not line.strip():
            continue
        item = line.strip()
        if item.startswith("- ") and key and isinstance(items := result.setdefault(key, []), list):
            items.append(_plain(item[2:]))
        elif not line[0].isspace() and ":" in line:
            key, _, value = line.partition(":")
            if value.strip():
                result[key] = _plain(value)
    return result


def _plain(value: str) -> str:
    value = value.strip()
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"" else value


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
