"""A folder that bears our mark, held open: the only thing whose content may be deleted without a person's word."""

import os
import stat
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from backends.ownership.directory import Directory, NotOurs, open_directory
from backends.ownership.mark import NAME as MARK
from backends.ownership.mark import is_marked, is_unwritten, write_mark
from backends.ownership.private import FOLDER_MODE, make_private_folder
from backends.ownership.removal import remove

NUM_LOOKS, LOOK_SECONDS = 50, 0.01  # while another process writes the mark

Recognise = Callable[[Directory, str], bool]


class OwnedFolder:
    """Close it when it is no longer worked in. `directory` is for reading and writing."""

    def __init__(self, directory: Directory):
        self.directory = directory

    @property
    def path(self) -> Path:
        return self.directory.path

    @classmethod
    def open(cls, path: Path, purpose: str) -> Self:
        """Raises NotOurs for a link and for one without our mark, OSError for one that cannot be read."""
        directory = open_directory(path)
        if not is_marked(directory, purpose):
            directory.close()
            raise NotOurs(f"{path} bears no mark of Slipstream, so nothing in it is touched.")
        return cls(directory)

    @classmethod
    def claim(cls, path: Path, purpose: str, recognises: Recognise) -> Self:
        """Ours already, new, empty, or of an earlier version, which wrote no marks: then every name must be known.

        Raises NotOurs for anything else, and OSError.
        """
        make_private_folder(path)
        directory = open_directory(path)
        try:
            if not is_marked(directory, purpose):
                _claim(directory, purpose, recognises)
        except BaseException:
            directory.close()
            raise
        return cls(directory)

    def discard(self, name: str) -> bool:
        """Deletes a file in it, or a link itself. False when it is still there: Windows keeps what is being read."""
        try:
            self.directory.unlink(name)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True

    def remove(self, *names: str) -> bool:
        """Deletes a file or a whole folder in it, or below: no link is followed. False when something had to stay."""
        *above, last = names
        with ExitStack() as held:
            directory = self.directory
            try:
                for name in above:
                    directory = held.enter_context(directory.child(name))
            except FileNotFoundError:
                return True
            except OSError:
                return False
            return not remove(directory, last)

    def touch(self, name: str) -> None:
        """It was used just now, if it is a regular file that can be told so."""
        with suppress(OSError):
            handle = self.directory.open(name, os.O_RDONLY)
            try:
                if stat.S_ISREG(os.fstat(handle).st_mode):
                    os.utime(handle if os.utime in os.supports_fd else self.path / name)
            finally:
                os.close(handle)

    def close(self) -> None:
        self.directory.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _claim(directory: Directory, purpose: str, recognises: Recognise) -> None:
    foreign = [name for name in directory.names() if name != MARK and not recognises(directory, name)]
    if foreign:
        raise NotOurs(
            f"{directory.path} holds what is not Slipstream's: {foreign[0]!r}. Move that to another place, then this "
            "folder can be used again."
        )
    if is_unwritten(directory):
        directory.unlink(MARK)
    with suppress(FileExistsError):  # another process was quicker; whatever it is, it is looked at next
        write_mark(directory, purpose)
    for _ in range(NUM_LOOKS):
        if not is_unwritten(directory):
            break
        time.sleep(LOOK_SECONDS)
    if not is_marked(directory, purpose):
        raise NotOurs(
            f"{directory.path / MARK} is not the mark of Slipstream. Remove it, then this folder can be used."
        )
    if sys.platform != "win32":
        handle = directory.open(".", os.O_RDONLY)
        try:
            os.fchmod(handle, FOLDER_MODE)
        finally:
            os.close(handle)
