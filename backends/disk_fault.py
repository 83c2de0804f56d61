"""What a person reads of a disk that fails: what, where, why, and what to do about it."""

import errno
import os
from pathlib import Path

NO_ROOM = "Free some space there, then try again."
READ_ONLY = "It may only be read there: choose another folder, or look how that disk is mounted."
NO_RIGHT = "Look who may read and write there."
OTHERWISE = "Look at the disk, then try again."
ADVICE = {
    **dict.fromkeys((errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)), NO_ROOM),
    errno.EROFS: READ_ONLY,
    **dict.fromkeys((errno.EACCES, errno.EPERM), NO_RIGHT),
}


def reason(error: OSError) -> str:
    """Why, as the end of a sentence."""
    words = error.strerror or str(error)
    return words[:1].lower() + words[1:]


def told(error: OSError, place: str | Path | None = None) -> str:
    """Two sentences. place: what was worked on, for an error that names nothing, or half a path."""
    named = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
    path = Path(place, named) if place is not None else Path(named).absolute() if named else None
    if error.strerror is None and not (path and path.is_file()):  # a sentence already
        return str(error)
    if path is None:
        return f"A file cannot be read or written: {reason(error)}. {advice(error)}"
    if error.errno in (errno.ENOTDIR, errno.EEXIST, None) and (file := _file_above(path)):
        return f"{path} cannot be used: {file} is a file and no folder. Move it away, or choose another folder."
    return f"{path} cannot be used: {reason(error)}. {advice(error)}"


def advice(error: OSError) -> str:
    return ADVICE.get(error.errno or 0, OTHERWISE)


def _file_above(path: Path) -> Path | None:
    return next((above for above in (path, *path.parents) if above.is_file()), None)
