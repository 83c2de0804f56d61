"""Bounds that a sandbox's child sets itself. They hold inside C code, too, which no thread of Python can interrupt."""

import ctypes
import faulthandler
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from backends.sandbox.job import Bounds

PR_SET_PDEATHSIG = 1
GRACE = 0.5  # seconds after its time: the engine ends the child first, if it lives

if sys.platform != "win32":
    import resource


@contextmanager
def ending_after(bounds: Bounds) -> Iterator[None]:
    """The process ends unless this is left in time, whatever it does then: the engine may be gone by that time."""
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGPROF, signal.SIG_DFL)  # the kernel ends the process; no handler has to run
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, bounds.deadline + GRACE)
        signal.setitimer(signal.ITIMER_REAL, bounds.patience + GRACE)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)
    else:  # a thread of C, which does not wait for the interpreter either
        faulthandler.dump_traceback_later(bounds.patience + GRACE, exit=True)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()


def bound_memory(size: int | None) -> None:
    """Let later allocations of more than `size` bytes together fail; None: no bound.

    On Linux alone: elsewhere the system takes the limit and does not keep it, and the engine watches the child.
    """
    if sys.platform != "linux":
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    now = int(Path("/proc/self/statm").read_text("ascii").split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (hard if size is None else now + size, hard))


def end_with_parent() -> None:
    """On Linux, even while the process is stopped: the kernel ends it when the thread that has started it ends."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def leave_no_core() -> None:
    if sys.platform != "win32":
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
