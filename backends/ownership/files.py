"""Single files: new ones appear whole or not at all, and what is deleted is a name, never what a link leads to."""

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from backends.ownership.directory import NEW, Directory, NotOurs, open_directory, placed
from backends.ownership.private import FILE_MODE

PART = ".slipstream-part"  # the end of names under which new files grow: nobody else's are called so


def part_of(target: Path) -> Path:
    """Where a new file grows beside its place."""
    return target.with_name(target.name + PART)


def write_whole(path: Path, content: bytes, mode: int = FILE_MODE) -> None:
    """Replaces the file in one step, also when the power fails: a reader finds the old or the new one. Raises OSError.

    mode: 0o600 is for its owner alone, whatever the umask; 0o666 leaves it to the umask.
    """
    with open_directory(path.parent, follows=True) as folder:
        part = f".{path.name}.{secrets.token_hex(4)}{PART}"
        try:
            with placed(path), os.fdopen(folder.open(part, NEW, mode), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            folder.replace(part, path.name)
        except BaseException:
            _unlink(folder, part)
            raise


def delete_file(path: Path) -> None:
    """One that we have made and named ourselves, or that a person wants deleted. A link goes, its target stays.

    No folder is deleted. What is gone is no fault. Raises OSError.
    """
    with suppress(FileNotFoundError), open_directory(path.parent, follows=True) as folder:
        folder.unlink(path.name)


def delete_below(root: Path, path: Path) -> None:
    """As `delete_file`, for a file below `root`: no folder on the way from there may be a link. Raises OSError."""
    with suppress(FileNotFoundError), _walk(root, path.parent) as folder:
        folder.unlink(path.name)


def delete_empty(root: Path, folder: Path) -> bool:
    """A folder below `root`, when nothing is in it. False when it stays."""
    try:
        with _walk(root, folder.parent) as above:
            above.rmdir(folder.name)
    except OSError:
        return False
    return True


def is_regular(path: Path) -> bool:
    """Not a link, a pipe, a folder or a device; these are not opened."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def _walk(root: Path, folder: Path) -> Directory:
    """The folder, entered from the root name by name."""
    if not folder.is_relative_to(root) or ".." in folder.parts:
        raise NotOurs(f"{folder} lies outside of {root}.")
    held = open_directory(root, follows=True)
    for name in folder.relative_to(root).parts:
        try:
            below = held.child(name)
        finally:
            held.close()
        held = below
    return held


def _unlink(folder: Directory, name: str) -> None:
    with suppress(OSError):
        folder.unlink(name)
