"""What Ctrl+C means: at an empty prompt it leaves, during an answer it ends the answer, and twice it leaves as well."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from app.cli.ending import SIGNALS, Ending


class Interrupts:
    """Of the main thread. A polite signal from outside leaves, whatever is going on."""

    def __init__(self) -> None:
        self.stop = Ending()  # what was asked for last: the start, a load, an answer
        self.leave = threading.Event()
        self._is_reading = False
        for name in SIGNALS:
            if number := getattr(signal, name, None):
                signal.signal(number, self._hear)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Meanwhile a signal raises KeyboardInterrupt: nothing else ends a read. What is read here begins anew, so
        that a signal after it counts however long the work takes to begin."""
        self._is_reading = True
        try:
            if self.leave.is_set():
                raise KeyboardInterrupt
            self.stop.clear()
            yield
        finally:
            self._is_reading = False

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        is_again = self.stop.was_asked and not self._is_reading  # an answer that was stopped before counts no more
        if number != signal.SIGINT or is_again:
            self.leave.set()
        if self._is_reading:
            self.stop.set()
            raise KeyboardInterrupt
        self.stop.hear()
