"""Real ways to a disk that fails, also for root, whom permission bits alone do not stop."""

import ctypes
import os
import resource
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

DROP_FROM_BOUNDS, CAPABILITIES = 24, (1, 2, 3)  # prctl: CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER


@contextmanager
def no_room(num_bytes: int = 0) -> Iterator[None]:
    """No file of this process may grow beyond that: as on a full disk, every write fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def begins_without_room() -> None:
    """For a child's `preexec_fn`."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def begins_bound_by_permissions() -> None:
    """For a child's `preexec_fn`: what belongs to root is closed to it by its bits."""
    if sys.platform == "linux" and os.geteuid() == 0:
        libc = ctypes.CDLL(None)
        for number in CAPABILITIES:
            libc.prctl(DROP_FROM_BOUNDS, number, 0, 0, 0)


def a_folder(path: Path) -> None:
    path.mkdir()
    (path / "precious").write_text("kept")


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        before = Path.cwd()
        os.chdir(path.parent)  # the name of a socket may have 107 bytes
        try:
            server.bind(path.name)
        finally:
            os.chdir(before)


def a_loop(path: Path) -> None:
    path.symlink_to(path.name)


def a_device(path: Path) -> None:
    path.symlink_to("/dev/null")


ODD: dict[str, Callable[[Path], None]] = {
    "a pipe": os.mkfifo,
    "a socket": a_socket,
    "a folder": a_folder,
    "a device": a_device,
    "a link to itself": a_loop,
}
