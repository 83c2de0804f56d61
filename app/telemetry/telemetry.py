"""Samples the machine and the engines once a second on a thread of its own, while somebody watches; less often while no
engine works.

What is sampled is what everybody is told: the window's strip and page, /metrics, the events of the port, the history.
"""

import logging
import platform
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from app.inference.snapshot import EngineSnapshot, EngineState
from app.telemetry.alarms import Alarms
from app.telemetry.amd import AmdProvider
from app.telemetry.apple import AppleProvider
from app.telemetry.bounds import sane_gpus, sane_host
from app.telemetry.host import HostProvider
from app.telemetry.intel import IntelProvider
from app.telemetry.meter import Meter
from app.telemetry.nvidia import NvidiaProvider
from app.telemetry.provider import GpuProvider, Provider, Source
from app.telemetry.sample import EngineFigures, Gpu, Host, Sample

PATIENCE = 0.25  # seconds that a sample waits for its sources
LOOK_SECONDS = 2.0  # that who wants one sample waits for it
CALM = 5  # intervals between two samples while no engine works
AFTER_LOAD = 8.0  # seconds after each load that are sampled, though nobody watches: whether all is where it should be
GLANCE = 3  # samples with GPUs after each load of an engine that computes on none: whether there is one it could use
DOWN = (EngineState.FAILED, EngineState.CLOSED)

Listener = Callable[[Sample], None]

_log = logging.getLogger(__name__)


def gpu_providers(pids: Callable[[], Collection[int]] = tuple) -> tuple[GpuProvider, ...]:
    """Those that this system may have. pids: of our engines."""
    by_system: dict[str, tuple[GpuProvider, ...]] = {
        "Linux": (NvidiaProvider(pids), AmdProvider(), IntelProvider()),
        "Windows": (NvidiaProvider(pids),),
        "Darwin": (AppleProvider(),),
    }
    return by_system.get(platform.system(), ())


class Telemetry:
    """Thread-safe. Listeners are called with each sample on the sampling thread. GPUs are asked only while an engine
    computes on one, since who asks holds it awake."""

    def __init__(
        self,
        gpus: Sequence[GpuProvider] | None = None,
        host: Provider[Host] | None = None,
        interval: float = 1.0,
        pids: Callable[[], Collection[int]] = tuple,
        asked_layers: Callable[[str], int | None] = lambda _: None,
    ):
        """asked_layers: on the GPU, of the engine of this name; None: it was to choose."""
        chosen = gpu_providers(pids) if gpus is None else gpus
        self._gpus = [Source(provider, sane_gpus) for provider in chosen]
        self._host = Source(host or HostProvider(), sane_host)
        self._interval = interval
        self._meters: dict[str, Meter] = {}
        self._on_gpu: dict[str, bool] = {}  # by engine, once it is ready
        self._glances = 0
        self._asked_layers = asked_layers
        self._alarms = Alarms()
        self._is_wanted = False  # a sample, now
        self._until = 0.0  # when the time after a load is over
        self._listeners: list[Listener] = []
        self._num_watchers = 0
        self._is_closed = False
        self._latest: Sample | None = None
        self._number = 0  # of the latest sample
        # the thread sleeps on it until the next sample is due, and without a watcher for as long as there is none
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def watch(self) -> Callable[[], None]:
        """Somebody looks, from now until the function returned is called."""
        with self._changed:
            self._num_watchers += 1
            self._wake()
        is_over = threading.Event()

        def leave() -> None:
            with self._changed:
                if not is_over.is_set():
                    is_over.set()
                    self._num_watchers -= 1
                    self._changed.notify_all()

        return leave

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Told of each sample while somebody watches; the function returned ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def look(self) -> Sample:
        """One of now, made for whoever asks. Waits for it, LOOK_SECONDS at most."""
        leave = self.watch()
        try:
            with self._changed:
                seen, self._is_wanted = self._number, True
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._number > seen or self._is_closed, LOOK_SECONDS)
                latest = self._latest
            return latest or Sample(time.time(), engines=self._engines())
        finally:
            leave()

    def hear(self, snapshot: EngineSnapshot) -> None:
        """For Supervisor.subscribe."""
        name = snapshot.name
        with self._changed:
            if snapshot.state in DOWN:
                self._meters.pop(name, None)
                self._forget(name)
                return
            meter = self._meters.setdefault(name, Meter())
            worked = meter.works
            meter.take(snapshot, time.monotonic())
            if meter.works and not worked:
                self._changed.notify_all()
            is_new = snapshot.stats is not None and name not in self._on_gpu
            if snapshot.state is EngineState.LOADING:
                self._forget(name)
        if is_new and snapshot.ready:
            self._place(snapshot, snapshot.ready.gpu_layers > 0)

    def engine(self, name: str) -> EngineFigures | None:
        """Of this moment."""
        with self._changed:
            meter = self._meters.get(name)
            return meter.figures(time.monotonic()) if meter else None

    def _forget(self, name: str) -> None:
        """The lock is held."""
        self._on_gpu.pop(name, None)
        self._alarms.forget(name)

    def _place(self, snapshot: EngineSnapshot, is_on_gpu: bool) -> None:
        asked = self._asked_layers(snapshot.name)
        with self._changed:
            self._on_gpu[snapshot.name] = is_on_gpu
            self._glances = GLANCE
            self._until = time.monotonic() + AFTER_LOAD
            self._alarms.place(snapshot, asked)
            self._wake()

    def _wake(self) -> None:
        """The lock is held."""
        if self._thread is None and not self._is_closed:
            self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def close(self) -> None:
        """Does not wait for a source that hangs."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        if self._thread:
            self._thread.join()

    def _run(self) -> None:
        while self._wait_for_watchers():
            begin, self._is_wanted = time.monotonic(), False
            self._tell(self._sample())
            self._sleep(begin)
        self._rest()

    def _sleep(self, begin: float) -> None:
        """Until the next sample is due, which the beginning of work brings forward."""
        with self._changed:
            while not self._is_closed and not self._is_wanted and self._is_watched():
                left = begin + (1 if self._works() else CALM) * self._interval - time.monotonic()
                if left <= 0:
                    return
                self._changed.wait(left)

    def _works(self) -> bool:
        return time.monotonic() < self._until or any(meter.works for meter in self._meters.values())

    def _wait_for_watchers(self) -> bool:
        """False at the end. Without a watcher nothing is open."""
        with self._changed:
            if not self._is_watched():
                self._latest = None
                self._rest()
            self._changed.wait_for(lambda: self._is_watched() or self._is_closed)
            return not self._is_closed

    def _is_watched(self) -> bool:
        return self._num_watchers > 0 or time.monotonic() < self._until

    def _tell(self, sample: Sample) -> None:
        with self._changed:
            self._latest = sample
            self._number += 1
            self._changed.notify_all()
        for listener in list(self._listeners):
            try:
                listener(sample)
            except Exception:  # the edge: one listener's defect must not end the samples
                _log.exception("a sample was lost")

    def _sample(self) -> Sample:
        asked: list[Source[Host] | Source[tuple[Gpu, ...]]] = [self._host]
        if self._may_ask_gpus():
            asked += self._gpus
        else:
            for gpu in self._gpus:
                gpu.rest()
        until = time.monotonic() + PATIENCE
        for source in [source for source in asked if source.ask()]:
            source.wait(max(0.0, until - time.monotonic()))
        gpus = tuple(gpu for each in self._gpus for gpu in each.value or ())
        sample = Sample(time.time(), self._host.value or Host(), gpus, self._engines())
        with self._changed:
            findings = tuple(self._alarms.findings(sample))
        return replace(sample, findings=findings)

    def _may_ask_gpus(self) -> bool:
        with self._changed:
            if any(self._on_gpu.values()):
                return True
            has_glance, self._glances = self._glances > 0, max(0, self._glances - 1)
            return has_glance and bool(self._on_gpu)

    def _engines(self) -> tuple[EngineFigures, ...]:
        with self._changed:
            now = time.monotonic()
            found = [meter.figures(now) for meter in self._meters.values()]
        return tuple(figures for figures in found if figures)

    def _rest(self) -> None:
        self._host.rest()
        for gpu in self._gpus:
            gpu.rest()
