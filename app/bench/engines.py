"""Starts the engines that are measured, one after the other, and notes how busy other programs keep the machine."""

import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from app.bench.asking import Asking
from app.bench.passages import Passages, reading
from app.inference.engine_handle import EngineHandle
from backends.neighbours import FamilyTime, Neighbours
from backends.protocol import EngineOptions, Ready

SHORT = 32  # tokens of a prompt that only begins an answer

Load = Callable[[EngineOptions], EngineHandle]


@dataclass(frozen=True, slots=True)
class Started:
    """seconds: from the start to the first token."""

    asking: Asking
    ready: Ready
    seconds: float


class Engines:
    """Of one model. The prompt cache on disk is left alone: nothing of what is asked here stays."""

    def __init__(
        self,
        load: Load,
        unload: Callable[[EngineHandle], None],
        cancelled: threading.Event,
        pids: Callable[[], Collection[int]] = tuple,
    ):
        """pids: of all engines. Those of other models are in the way like other programs, while they answer."""
        self.passages = Passages()
        self.others: list[float] = []  # cores that other programs used, one value for each engine
        self._load, self._unload = load, unload
        self._cancelled = cancelled
        self._pids = pids
        self._own: list[EngineHandle] = []  # one may be started while another one lives
        self._neighbours = Neighbours(FamilyTime(self._strangers))

    @contextmanager
    def started(self, options: EngineOptions) -> Iterator[Started]:
        """Loaded, and its first token said. Raises EngineError, RequestError or Cancelled."""
        self._neighbours()  # processes that have ended since the last look were ours
        begin = time.perf_counter()
        handle = self._load(replace(options, prompt_cache_folder=None))
        self._own.append(handle)
        try:
            asking = Asking(handle, self._cancelled)
            ready = asking.ready()
            asking.answer(reading(self.passages.next(SHORT)))
            yield Started(asking, ready, time.perf_counter() - begin)
            if (others := self._neighbours()) is not None:
                self.others.append(others)
        finally:
            self._unload(handle)
            self._own.remove(handle)

    def _strangers(self) -> set[int]:
        return set(self._pids()) - {handle.pid for handle in self._own}
