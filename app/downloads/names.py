"""A repository's file names as paths below a folder of ours. Whatever could lead elsewhere is refused."""

import re
from pathlib import Path

from app.errors import DownloadError
from app.library.names import FORBIDDEN, RESERVED

MAX_PART = 240  # bytes of one name: file systems take 255, and “.part.json” must fit
MAX_NAME = 1024
MAX_DEPTH = 16
ENCODED = re.compile(r"%(?:25)*(?:2f|5c|2e|00|3a)", re.IGNORECASE)  # slashes, dots, NUL and colons in disguise

OUT = "it leads out of the folder or could do so on another system"


def safe_path(folder: Path, name: str) -> Path:
    """`folder`/`name`. Raises DownloadError when that could lie outside of the folder, here or on another system.

    Links on the way, the last part included, are refused: somebody put them there.
    """
    parts = _parts(name)
    path = folder
    for part in parts:
        path = path / part
        if path.is_symlink():
            raise DownloadError(f"{path} is a link to another place. Remove it, then download again.")
    if not path.parent.resolve().is_relative_to(folder.resolve()):
        raise _refused(name, "it leads out of the folder")
    return path


def _parts(name: str) -> list[str]:
    if not name or len(name) > MAX_NAME:
        raise _refused(name, "it is empty or too long")
    if ENCODED.search(name):
        raise _refused(name, OUT)
    parts = name.split("/")
    if len(parts) > MAX_DEPTH:
        raise _refused(name, "it lies too deep")
    for part in parts:
        if (problem := _problem(part)) is not None:
            raise _refused(name, problem)
    return parts


def _problem(part: str) -> str | None:
    if part in ("", ".", "..") or "\\" in part:
        return OUT
    if any(c in FORBIDDEN or not c.isprintable() for c in part):
        return "it has a character that file names may not have on every system"
    if part.strip(" ") != part or part.endswith("."):
        return "a part of it begins or ends with a space or a dot, which Windows drops"
    if part.partition(".")[0].strip().lower() in RESERVED:
        return "a part of it is a device on Windows"
    try:
        return "a part of it is too long" if len(part.encode()) > MAX_PART else None
    except UnicodeEncodeError:
        return "it is no text"


def _refused(name: str, why: str) -> DownloadError:
    shown = ascii(name if len(name) <= 80 else name[:80] + "…")
    return DownloadError(f"The repository has a file named {shown}, and {why}. It is not downloaded.")
