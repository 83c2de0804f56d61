"""Brings a growing file to the disk while more of it comes, so that the last sync is short. Knows no network."""

import os
import threading

EVERY = 32 << 20  # bytes
_sync = getattr(os, "fdatasync", os.fsync)


class Flusher:
    """Threads: `wrote` and `close` belong to the one that writes."""

    def __init__(self, descriptor: int):
        self._descriptor = os.dup(descriptor)
        self._num_waiting = 0
        self._is_wanted = threading.Event()
        self._is_closed = False
        self.failure: OSError | None = None  # the system tells of it once: the last sync must not miss it
        self._thread = threading.Thread(target=self._work, name="flusher", daemon=True)
        self._thread.start()

    def wrote(self, num_bytes: int) -> None:
        self._num_waiting += num_bytes
        if self._num_waiting >= EVERY:
            self._num_waiting = 0
            self._is_wanted.set()

    def close(self, seconds: float | None) -> None:
        """Waits that long for a disk at work; then the thread ends by itself, with its own descriptor."""
        self._is_closed = True
        self._is_wanted.set()
        self._thread.join(seconds)

    def _work(self) -> None:
        try:
            while True:
                self._is_wanted.wait()
                self._is_wanted.clear()
                if self._is_closed:  # looked at last: a close that comes before sets the event again
                    return
                _sync(self._descriptor)
        except OSError as failure:
            self.failure = failure
        finally:
            os.close(self._descriptor)
