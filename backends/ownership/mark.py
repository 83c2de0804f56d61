"""The mark: a file that says whose a folder is. Only a folder that bears it may be emptied.

It names its folder and what that is for, so that a copy of it in another folder says nothing.
"""

from backends.ownership.directory import Directory

NAME = ".slipstream-folder"
MAX_BYTES = 4096


def _content(folder: str, purpose: str) -> bytes:
    return (
        f"This folder belongs to Slipstream, which deletes what is in it. Keep nothing of your own here.\n"
        f"purpose: {purpose}\nfolder: {folder}\n"
    ).encode("utf-8", "surrogateescape")


def is_marked(directory: Directory, purpose: str) -> bool:
    """A link, a pipe, or other words under that name are no mark."""
    return directory.read(NAME, MAX_BYTES) == _content(directory.path.name, purpose)


def is_mark_of(content: bytes, folder: str) -> bool:
    """Whether it is the mark of a folder of this name, whatever that is for."""
    wanted, found = _content(folder, "").splitlines(), content.splitlines()
    return len(found) == 3 and (found[0], found[2]) == (wanted[0], wanted[2]) and found[1].startswith(wanted[1])


def write_mark(directory: Directory, purpose: str) -> None:
    """Raises OSError; FileExistsError when something has its name."""
    directory.create(NAME, _content(directory.path.name, purpose))


def is_unwritten(directory: Directory) -> bool:
    """Whether its writer was ended before its first byte."""
    return directory.read(NAME, 1) == b""
