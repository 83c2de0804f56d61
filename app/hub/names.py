"""Names that come from the network. What could leave its folder on any system is refused, and said so."""

import re
from urllib.parse import unquote

from app.errors import HubError, HubFault, ModelFileError
from app.library.names import checked_name

MAX_PATH = 512
MAX_DEPTH = 8
REPOSITORY = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}/)?[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}")
COMMIT = re.compile(r"[0-9a-f]{40}")
REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]{0,127}")
NUM_DECODINGS = 3  # "%252e" is "%2e" is "."


def checked_repository(id_: str) -> str:
    """The id itself. Raises HubError when it is none."""
    if not REPOSITORY.fullmatch(id_) or "--" in id_ or ".." in id_ or id_.endswith((".git", "-", ".")):
        raise HubError(
            HubFault.NOT_FOUND,
            f"“{_shown(id_)}” is not the name of a repository. It looks like “owner/model”.",
        )
    return id_


def checked_revision(revision: str) -> str:
    if not REVISION.fullmatch(revision) or ".." in revision or "//" in revision:
        raise HubError(HubFault.NOT_FOUND, f"“{_shown(revision)}” is not the name of a revision.")
    return revision


def is_hostile(path: str) -> bool:
    """Whether a file of that name could be written outside its folder: no honest repository has one."""
    for _ in range(NUM_DECODINGS):
        parts = path.replace("\\", "/").split("/")
        if "\0" in path or "\\" in path or ".." in parts or path.startswith("/") or path[1:2] == ":":
            return True
        path = unquote(path)
    return False


def checked_path(path: str) -> str:
    """The path itself, with forward slashes. Raises HubError when it is unsafe, or no file name somewhere."""
    if is_hostile(path):
        raise HubError(
            HubFault.BROKEN,
            f"The repository lists a file that would be written outside its folder ({_shown(path)}). "
            "Nothing of it is installed. Choose another repository.",
        )
    parts = path.split("/")
    try:
        if len(path) > MAX_PATH or len(parts) > MAX_DEPTH or unquote(path) != path:
            raise ModelFileError
        for part in parts:
            checked_name(part, "file")
    except ModelFileError:
        raise HubError(HubFault.BROKEN, f"“{_shown(path)}” cannot be the name of a file here.") from None
    return path


def _shown(name: str) -> str:
    return ascii(name[:64])[1:-1]
