"""Empties a folder that is held, with all that is below. Never follows a link, never enters what is mounted there."""

import stat
from collections.abc import Collection

from backends.ownership.directory import Directory, NotOurs, is_link

MAX_DEPTH = 64  # nothing of ours is nearly as deep


def empty(directory: Directory, keep: Collection[str] = (), depth: int = 0) -> list[OSError]:
    """Why something had to stay; nothing when all is gone but `keep`."""
    if depth > MAX_DEPTH:
        return [NotOurs(f"{directory.path} lies too deep to be Slipstream's.")]
    try:
        names = [name for name in directory.names() if name not in keep]
    except OSError as fault:
        return [fault]
    return [fault for name in names for fault in remove(directory, name, depth)]


def remove(directory: Directory, name: str, depth: int = 0) -> list[OSError]:
    """One name in it: a file, a link itself, or a folder with all that is in it. What is gone already is no fault."""
    try:
        status = directory.status(name)
        if not stat.S_ISDIR(status.st_mode) or is_link(status):
            directory.unlink(name)
            return []
        with directory.child(name) as child:
            if child.place != directory.place:
                return [NotOurs(f"{child.path} is another disk or folder that is mounted there, and is left alone.")]
            if left := empty(child, depth=depth + 1):
                return left
        directory.rmdir(name)
    except FileNotFoundError:
        return []
    except OSError as fault:
        return [fault]
    return []
