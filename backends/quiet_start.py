"""Starts a child that Ctrl+C does not reach before the child itself can ignore it. Knows no work."""

import signal
from multiprocessing.process import BaseProcess


def start_quietly(process: BaseProcess) -> None:
    """A terminal sends its interrupt to every program of a command, and one that has just begun would die of it with
    a traceback. Raises OSError when the system has no room for it."""
    if not hasattr(signal, "pthread_sigmask"):
        process.start()
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # its own start, with the first process, would let the signal through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # which a new process inherits
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
