"""Reads and proves states in a thread of its own, so that no step waits for a disk. Knows files, no index."""

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from time import perf_counter

from backends.ownership.folder import OwnedFolder
from backends.prompt_cache.state import State
from backends.prompt_cache.state_file import StateFileError, StateFileGone, read_state
from backends.protocol import CacheMiss


@dataclass(frozen=True, slots=True)
class Held:
    """A state on disk, or on its way there."""

    name: str
    tokens: list[int]
    num_bytes: int


@dataclass(frozen=True, slots=True)
class Read:
    """The reader's report: the state, or why there is none. A file that is damaged or not ours has been removed."""

    held: Held
    state: State | None
    miss: CacheMiss | None = None
    seconds: float = 0.0


class StateReader:
    """Takes one file at a time. `post` is called from its thread."""

    def __init__(self, folder: OwnedFolder, key: str, post: Callable[[Read], None]):
        self._folder, self._key, self._post = folder, key, post
        self._todo: SimpleQueue[Held | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="prompt-cache-reader", daemon=True)
        self._thread.start()

    def ask(self, held: Held) -> None:
        self._todo.put(held)

    def close(self) -> None:
        """When what was asked for has been read."""
        self._todo.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (held := self._todo.get()) is not None:
            self._post(self._read(held))

    def _read(self, held: Held) -> Read:
        begin = perf_counter()
        try:
            state = read_state(self._folder.directory, held.name, self._key)
            if state.tokens != held.tokens:
                raise StateFileError("it was exchanged")
        except StateFileGone:
            return Read(held, None, CacheMiss.REMOVED)
        except StateFileError as error:
            sys.stderr.write(f"prompt cache: {held.name} is not used: {error}\n")
            self._folder.discard(held.name)
            return Read(held, None, CacheMiss.DAMAGED)
        self._folder.touch(held.name)  # the budget takes the least recently used
        return Read(held, state, seconds=perf_counter() - begin)
