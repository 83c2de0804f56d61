"""A folder held by a descriptor (openat and its kin): nobody can put another in its place. All systems but Windows."""

import os
from pathlib import Path
from typing import Self

from backends.ownership.directory import FOLDER, NO_LINK, SAFE, Directory, placed, why_not


class HandleDirectory(Directory):
    def __init__(self, handle: int, path: Path):
        self._handle = handle
        self.path = path
        self._place = _place(handle)

    @classmethod
    def at(cls, path: Path, follows: bool) -> Self:
        try:
            return cls(os.open(path, FOLDER if follows else FOLDER | NO_LINK), path)
        except OSError as fault:
            raise why_not(path, fault) from fault

    def names(self) -> list[str]:
        return sorted(os.listdir(self._handle))

    def status(self, name: str) -> os.stat_result:
        return os.stat(name, dir_fd=self._handle, follow_symlinks=False)

    def open(self, name: str, flags: int, mode: int = 0o600) -> int:
        with placed(self.path / name):
            return os.open(name, flags | SAFE, mode, dir_fd=self._handle)

    def make(self, name: str) -> None:
        with placed(self.path / name):
            os.mkdir(name, 0o700, dir_fd=self._handle)

    def child(self, name: str) -> Directory:
        path = self.path / name
        try:
            return HandleDirectory(os.open(name, FOLDER | NO_LINK, dir_fd=self._handle), path)
        except OSError as fault:
            raise why_not(path, fault) from fault

    def unlink(self, name: str) -> None:
        with placed(self.path / name):
            os.unlink(name, dir_fd=self._handle)

    def rmdir(self, name: str) -> None:
        with placed(self.path / name):
            os.rmdir(name, dir_fd=self._handle)

    def replace(self, old: str, new: str) -> None:
        with placed(self.path / new):
            os.replace(old, new, src_dir_fd=self._handle, dst_dir_fd=self._handle)

    @property
    def handle(self) -> int:
        return self._handle

    @property
    def place(self) -> tuple[int, ...]:
        return self._place

    @property
    def identity(self) -> tuple[int, int]:
        status = os.fstat(self._handle)
        return status.st_dev, status.st_ino

    def close(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
        self._handle = -1


def _place(handle: int) -> tuple[int, ...]:
    """Device, and on Linux the mount: a folder that is mounted a second time elsewhere has the same device."""
    device = os.fstat(handle).st_dev
    try:
        with open(f"/proc/self/fdinfo/{handle}", encoding="ascii") as lines:
            mounts = [int(line.split()[1]) for line in lines if line.startswith("mnt_id:")]
    except OSError:
        mounts = []
    return (device, *mounts)
