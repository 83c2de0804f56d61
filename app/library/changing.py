"""One change of the managed folder at a time, over all threads and processes: a manifest is read, then written."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from backends.ownership.files import delete_empty
from backends.ownership.private import make_folder

P = ParamSpec("P")
T = TypeVar("T")


class Managed(Protocol):
    @property
    def models_dir(self) -> Path: ...


S = TypeVar("S", bound=Managed)

if sys.platform == "win32":
    import msvcrt

    def _lock(folder: Path) -> int:
        """A folder cannot be opened there, so a hidden file in it stands for it."""
        handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT)
        with suppress(OSError):  # after ten seconds
            msvcrt.locking(handle, msvcrt.LK_LOCK, 1)
        return handle
else:
    import fcntl

    def _lock(folder: Path) -> int:
        """Each opening of the folder is a holder of its own, so threads exclude each other as processes do."""
        handle = os.open(folder, os.O_RDONLY)
        with suppress(OSError):  # some network drives know no locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        return handle


@contextmanager
def changing(models_dir: Path) -> Iterator[None]:
    """Waits for its turn: others take as long as a rename, or a copy from another disk."""
    handle, is_new = None, not models_dir.exists()
    with suppress(OSError):  # what cannot be opened cannot be written either, and that is told by whoever tries
        make_folder(models_dir)
        handle = _lock(models_dir)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)  # which releases it
        if is_new:
            with suppress(OSError):  # it stays unless nothing came into it
                delete_empty(models_dir.parent, models_dir)


def one_at_a_time(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """For methods that change what lies below `models_dir`. They must not call each other."""

    @wraps(method)
    def locked(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with changing(self.models_dir):
            return method(self, *args, **kwargs)

    return locked
