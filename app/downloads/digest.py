"""A file's hash, on a thread of its own while the bytes come. Knows bytes, no file and no network."""

import hashlib
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Protocol

from app.downloads.source import Source

BUFFER = 256 << 10  # still in the processor's cache when it is hashed and written
NUM_BUFFERS = 32  # deep: threads that wait for each other at every piece cost more than the hash


class Hash(Protocol):
    def update(self, data: memoryview, /) -> None: ...
    def hexdigest(self) -> str: ...


class Digest:
    """Owns a ring of buffers: fill one, hand it back with `add`, it is hashed and comes round again."""

    def __init__(self, start: Callable[[], Hash]):
        self._start = start
        self._hash = start()
        self._free: SimpleQueue[memoryview] = SimpleQueue()
        self._full: SimpleQueue[tuple[memoryview, int] | None] = SimpleQueue()
        for _ in range(NUM_BUFFERS):
            self._free.put(memoryview(bytearray(BUFFER)))
        self._thread = threading.Thread(target=self._work, name="digest", daemon=True)
        self._thread.start()

    def buffer(self) -> memoryview:
        """Waits until one is free: the hash sets the pace when it is the slowest."""
        return self._free.get()

    def add(self, buffer: memoryview, count: int) -> None:
        self._full.put((buffer, count))

    def restart(self) -> None:
        self._wait()
        self._hash = self._start()

    def hexdigest(self) -> str:
        self._wait()
        return self._hash.hexdigest()

    def close(self) -> None:
        self._full.put(None)
        self._thread.join()

    def __enter__(self) -> "Digest":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _wait(self) -> None:
        """Until all that was added is hashed: every buffer has come round."""
        for buffer in [self._free.get() for _ in range(NUM_BUFFERS)]:
            self._free.put(buffer)

    def _work(self) -> None:
        while (filled := self._full.get()) is not None:
            buffer, count = filled
            self._hash.update(buffer[:count])  # large pieces are hashed without the GIL
            self._free.put(buffer)


class NoHash:
    """Where the source names none."""

    def update(self, _data: memoryview, /) -> None:
        pass

    def hexdigest(self) -> str:
        return ""


def hash_of(source: Source) -> Hash:
    if source.sha256 is not None:
        return hashlib.sha256()
    if source.git_sha1 is not None:
        return hashlib.sha1(b"blob %d\0" % source.bytes)
    return NoHash()


def expected(source: Source) -> str:
    return (source.sha256 or source.git_sha1 or "").lower()
