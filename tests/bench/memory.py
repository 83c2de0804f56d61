"""How much memory children hold that the system could not drop: their resident pages without those of mapped files."""

import ctypes
import gc
import threading
from contextlib import suppress

import psutil

TICK_SECONDS = 0.01


class OwnMemory:
    """The peak of any one child of this process while the block runs, in MiB. Read from outside, every 10 ms."""

    def __init__(self) -> None:
        self.peak = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "OwnMemory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        me = psutil.Process()
        while not self._ended.wait(TICK_SECONDS):
            for child in me.children(recursive=True):
                try:
                    memory = child.memory_info()
                except psutil.Error:  # it has just ended
                    continue
                self.peak = max(self.peak, (memory.rss - memory.shared) / 2**20)


def give_back() -> None:
    """What this process holds and does not need goes to the system, where its C library can do that: so that what is
    left is held on purpose, or is a leak."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
