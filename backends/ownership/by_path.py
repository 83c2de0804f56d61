"""A folder held by its path, for Windows, where no descriptor of a folder exists.

Before each use the path must still lead to the folder of the beginning, and to no link or junction; what is left is the
moment between that look and the use.
"""

import os
from pathlib import Path
from typing import Self

from backends.ownership.directory import SAFE, Directory, NotOurs, is_link, is_real_folder, why_not


class PathDirectory(Directory):
    def __init__(self, path: Path, identity: tuple[int, int]):
        self.path = path
        self._identity = identity

    @classmethod
    def at(cls, path: Path, follows: bool) -> Self:
        real = path.resolve() if follows else path
        status = os.lstat(real)
        if not is_real_folder(status):
            raise why_not(real, NotADirectoryError(str(real)))
        return cls(real, (status.st_dev, status.st_ino))

    def names(self) -> list[str]:
        return sorted(os.listdir(self._here()))

    def status(self, name: str) -> os.stat_result:
        return os.lstat(self._here() / name)

    def open(self, name: str, flags: int, mode: int = 0o600) -> int:
        path = self._here() / name
        before = os.lstat(path) if os.path.lexists(path) else None
        if before and is_link(before):
            raise NotOurs(f"{path} is a link.")
        handle = os.open(path, flags | SAFE, mode)
        status = os.fstat(handle)
        if before and (before.st_dev, before.st_ino) != (status.st_dev, status.st_ino):
            os.close(handle)
            raise NotOurs(f"{path} was exchanged.")
        return handle

    def make(self, name: str) -> None:
        os.mkdir(self._here() / name, 0o700)

    def child(self, name: str) -> Directory:
        return PathDirectory.at(self._here() / name, False)

    def unlink(self, name: str) -> None:
        os.unlink(self._here() / name)

    def rmdir(self, name: str) -> None:
        if not self.is_folder(name):  # Windows removes a junction as if it were a folder
            raise NotOurs(f"{self.path / name} is a link.")
        os.rmdir(self._here() / name)

    def replace(self, old: str, new: str) -> None:
        os.replace(self._here() / old, self._here() / new)

    @property
    def place(self) -> tuple[int, ...]:
        return (self._identity[0], int(os.path.ismount(self.path)))

    @property
    def identity(self) -> tuple[int, int]:
        self._here()
        return self._identity

    def close(self) -> None:
        """There is nothing to give back."""

    def _here(self) -> Path:
        status = os.lstat(self.path)
        if not is_real_folder(status) or (status.st_dev, status.st_ino) != self._identity:
            raise NotOurs(f"{self.path} is another folder than it was.")
        return self.path
