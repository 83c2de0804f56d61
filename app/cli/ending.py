"""How a command learns that it should end: Ctrl+C, or a polite signal from outside."""

import multiprocessing
import os
import signal
import threading
from contextlib import suppress
from typing import NoReturn

SIGNALS = ("SIGINT", "SIGTERM", "SIGBREAK")
EXIT_INTERRUPTED = 130


class Ending(threading.Event):
    """An event that such a signal sets. Before anybody has looked at it, nobody would hear: then the process ends."""

    def __init__(self) -> None:
        super().__init__()
        self._is_heeded = False

    def is_set(self) -> bool:
        self._is_heeded = True
        return super().is_set()

    def wait(self, timeout: float | None = None) -> bool:
        self._is_heeded = True
        return super().wait(timeout)

    @property
    def was_asked(self) -> bool:
        """For the signal's own handler, which is nobody who would act."""
        return super().is_set()

    def hear(self) -> None:
        if not self._is_heeded:
            leave_at_once()
        self.set()


def ending() -> Ending:
    """Whoever works or waits looks at it.

    Nothing is raised: an exception out of nowhere breaks imports in half and is swallowed by Qt.
    """
    asked = Ending()
    for name in SIGNALS:
        if number := getattr(signal, name, None):
            signal.signal(number, lambda *_: asked.hear())
    return asked


def leave_at_once() -> NoReturn:
    """While a command starts: there is nothing to put away that a later start would not find as after a power cut."""
    with suppress(Exception):  # in the middle of whatever the main thread did
        for child in multiprocessing.active_children():
            child.kill()
    os._exit(EXIT_INTERRUPTED)
