"""What a source of figures must offer, and the thread on which it is asked: one that raises, hangs or talks nonsense
costs its own figures, nothing else."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Generic, Protocol, TypeVar

from app.telemetry.sample import Gpu

PAUSE = 30.0  # seconds until one that has found nothing is asked again: a driver that is not there stays away
STALE = 3.0  # seconds after which an answer is none any more

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_log = logging.getLogger(__name__)


class Provider(Protocol[T_co]):
    """May raise anything anywhere, and take any time. Called on one thread."""

    def read(self) -> T_co | None:
        """None: there is nothing to tell of. Opens what it needs."""

    def close(self) -> None:
        """Let go of the device, so that it may sleep. `read` opens it again."""


GpuProvider = Provider[tuple[Gpu, ...]]


class Source(Generic[T]):
    """One provider, asked on a thread that lives from the first `ask` to `rest`. check: makes of its answer what can be
    believed."""

    def __init__(
        self,
        provider: Provider[object],
        check: Callable[[object], T],
        clock: Callable[[], float] = time.monotonic,
    ):
        self._provider = provider
        self._check = check
        self._clock = clock
        # of its thread, while it has one. True: read; False: close, and end
        self._orders: SimpleQueue[bool] | None = None
        self._is_free = threading.Event()
        self._is_free.set()
        self._answer: T | None = None
        self._time = 0.0
        self._not_before = 0.0

    @property
    def value(self) -> T | None:
        """The last answer, while it is fresh."""
        return self._answer if self._clock() - self._time <= STALE else None

    def ask(self) -> bool:
        """Begin to read. False, and nothing is done, while it is at it still, or there is nothing to be had."""
        if not self._is_free.is_set() or self._clock() < self._not_before:
            return False
        if self._orders is None:
            self._orders = SimpleQueue()
            name = f"telemetry {type(self._provider).__name__}"
            # a daemon: one that hangs must not keep the application from ending
            threading.Thread(target=self._run, args=(self._orders,), name=name, daemon=True).start()
        self._is_free.clear()
        self._orders.put(True)
        return True

    def wait(self, seconds: float) -> None:
        """For the answer to what was asked, or until the time is over."""
        self._is_free.wait(seconds)

    def rest(self) -> None:
        """Let go of the device, on its thread: this returns at once."""
        self._answer, self._not_before = None, 0.0
        if self._orders:
            self._is_free.clear()  # nobody asks it before it is closed
            self._orders.put(False)
            self._orders = None

    def _run(self, orders: SimpleQueue[bool]) -> None:
        while orders.get():
            answer = self._read()
            self._answer, self._time = answer, self._clock()
            if not answer:
                self._not_before = self._time + PAUSE
            if orders.empty():
                self._is_free.set()
        with suppress(Exception):
            self._provider.close()
        self._answer = None
        self._is_free.set()

    def _read(self) -> T | None:
        try:
            found = self._provider.read()
            return None if found is None else self._check(found)
        except Exception as error:
            _log.debug("%s: %s", type(self._provider).__name__, error)
            return None
