"""Samples memory once a second on a thread of its own. A source that fails costs its figure, nothing else."""

import logging
import platform
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

import psutil

from app.telemetry.amd import AmdProvider
from app.telemetry.nvidia import NvidiaProvider
from app.telemetry.sample import GpuMemory, GpuProvider, MemorySample, is_plausible

log = logging.getLogger(__name__)

NO_GPU = GpuMemory(None, None, None, "no source for GPU memory")
INACTIVE = GpuMemory(None, None, None, "not read while no model is loaded")


def default_providers() -> tuple[GpuProvider, ...]:
    by_system: dict[str, tuple[GpuProvider, ...]] = {
        "Linux": (NvidiaProvider(), AmdProvider()),
        "Windows": (NvidiaProvider(),),
    }
    return by_system.get(platform.system(), ())


class Telemetry:
    """Calls the listener with each sample on its own thread. GPUs are asked only while active."""

    def __init__(
        self,
        listener: Callable[[MemorySample], None],
        providers: Sequence[GpuProvider] | None = None,
        interval: float = 1.0,
    ):
        self._listener = listener
        self._providers = default_providers() if providers is None else tuple(providers)
        self._interval = interval
        self._is_active = False
        self._is_closed = False
        self._changed = threading.Condition()  # wakes the thread from its sleep; it alone touches providers
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def set_active(self, active: bool) -> None:
        """True while an engine is loaded: the next sample has GPU figures, and comes at once."""
        with self._changed:
            if active != self._is_active:
                self._is_active = active
                self._changed.notify()

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._is_closed:
            active = self._is_active
            self._report(active)
            with self._changed:
                self._changed.wait_for(partial(self._is_due, active), self._interval)
        self._let_go()

    def _is_due(self, was_active: bool) -> bool:
        return self._is_closed or self._is_active != was_active

    def _report(self, active: bool) -> None:
        try:
            self._listener(self._sample(active))
        except Exception:
            log.exception("a memory sample was lost")

    def _sample(self, active: bool) -> MemorySample:
        if not active:
            self._let_go()
        gpu = self._gpu_memory() if active else INACTIVE
        ram = psutil.virtual_memory()
        used = ram.total - ram.available
        return MemorySample(used, ram.total, _app_rss(), gpu.name, gpu.used, gpu.total, gpu.source)

    def _gpu_memory(self) -> GpuMemory:
        """The first provider's that has any."""
        for provider in self._providers:
            memory = _ask(provider)
            if memory:
                return memory
        return NO_GPU

    def _let_go(self) -> None:
        for provider in self._providers:
            with suppress(Exception):
                provider.close()


def _ask(provider: GpuProvider) -> GpuMemory | None:
    try:
        memory = provider.read()
        if memory is None or is_plausible(memory):
            return memory
    except Exception as error:
        log.debug("%s: %s", type(provider).__name__, error)
    return None


def _app_rss() -> int:
    """Resident bytes of this process and its children; one that just ended counts for nothing."""
    me = psutil.Process()
    total = 0
    for process in [me, *me.children(recursive=True)]:
        with suppress(psutil.Error):
            total += process.memory_info().rss
    return total
