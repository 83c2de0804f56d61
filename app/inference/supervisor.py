"""Keeps one engine process per loaded model, and brings back those that die."""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from app.errors import EngineError, UnknownModelError
from app.inference.alarm import Alarm
from app.inference.engine_handle import CLOSE_SECONDS, EngineHandle, EngineSnapshot, EngineState, Preflight
from app.inference.standby import Standby
from app.inference.watchdog import Patience, Watchdog
from backends.protocol import EngineOptions

Listener = Callable[[EngineSnapshot], None]

STANDBY_SECONDS = 60.0  # that a person may take to choose a model: a process that waits has its memory

_log = logging.getLogger(__name__)


class Supervisor:
    """Window and port ask it for engines. Listeners are called on the engines' own threads."""

    def __init__(
        self,
        logs: Path,
        preflight: Preflight | None = None,
        patience: Patience | None = None,
        standby: Standby | None = None,
    ):
        """standby: processes for its first engines; it ends those that none of them takes."""
        self._logs = logs
        self._standby = standby
        self._preflight = preflight
        self._patience = patience or Patience()
        self._handles: dict[str, EngineHandle] = {}
        self._listeners: list[Listener] = []
        self._lock = threading.Lock()  # the window's thread and the port's both load and look up
        self._num_attendants = 0
        self._is_closed = False
        self._alarm = Alarm()
        watchdog = Watchdog(self.engines, lambda: self._num_attendants > 0, self._patience)
        self._watch: Callable[[], None] | None = watchdog.look
        if standby:
            self._alarm.after(STANDBY_SECONDS, standby.close)

    def load(
        self, name: str, model: Path, options: EngineOptions | None = None, backend: str = "llama"
    ) -> EngineHandle:
        """Start an engine for this model file and return at once; a loaded one of that name is replaced.

        Raises EngineError once it is closed: a late request must not start what nobody will end.
        """
        preflight = self._preflight if backend == "llama" else None
        handle = EngineHandle(
            name,
            model,
            options or EngineOptions(),
            backend,
            self._logs,
            preflight,
            self._notify,
            self._alarm,
            self._standby,
        )
        with self._lock:
            if self._is_closed:
                raise EngineError("Slipstream is ending, so no model is loaded any more.")
            previous = self._handles.get(name)
            self._handles[name] = handle
            look, self._watch = self._watch, None
        if look:
            self._alarm.every(self._patience.tick, look)
        if previous:
            previous.close()
        handle.start()
        return handle

    def revive(self, handle: EngineHandle) -> EngineHandle:
        """Load what is down for good once more, under its name and with its options."""
        return self.load(handle.name, handle.model, handle.options, handle.backend)

    def unload(self, name: str) -> None:
        with self._lock:
            handle = self._handles.pop(name, None)
        if handle:
            handle.close()

    def restart(self, name: str) -> None:
        """As a person has asked for it. Raises UnknownModelError."""
        handle = self.get(name)
        seconds = handle.snapshot.silent_seconds or 0.0
        handle.restart(f"it had not answered for {seconds:.0f} s and was restarted", is_asked=True)

    def get(self, name: str) -> EngineHandle:
        """Raises UnknownModelError when no engine of that name is loaded."""
        with self._lock:
            handle = self._handles.get(name)
            known = ", ".join(self._handles) or "none"
        if handle is None:
            raise UnknownModelError(f"No model named “{name}” is loaded. Loaded: {known}.")
        return handle

    def engines(self) -> tuple[EngineHandle, ...]:
        with self._lock:
            return tuple(self._handles.values())

    def living(self) -> list[EngineHandle]:
        """Without those that are down for good."""
        ended = (EngineState.FAILED, EngineState.CLOSED)
        return [handle for handle in self.engines() if handle.snapshot.state not in ended]

    def pids(self) -> tuple[int, ...]:
        """Of the engines' processes."""
        return tuple(pid for handle in self.engines() if (pid := handle.pid) is not None)

    def loading(self) -> float | None:
        """How far the first model is, from 0 to 1; None as soon as one can answer, or while none is on its way."""
        snapshots = [handle.snapshot for handle in self.engines()]
        if any(snapshot.state is EngineState.READY for snapshot in snapshots):
            return None
        return max((each.fraction for each in snapshots if each.state is EngineState.LOADING), default=None)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call listener at every change of any engine; the function returned ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def attend(self) -> Callable[[], None]:
        """A person is there to ask before a silent engine is restarted; the function returned ends that."""
        self._count_attendants(1)
        return lambda: self._count_attendants(-1)

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """End every engine, side by side; those that take longer than `seconds` are killed."""
        with self._lock:
            self._is_closed = True
            handles, self._handles = list(self._handles.values()), {}
        until = time.monotonic() + seconds
        for handle in handles:
            handle.ask_to_close()
        for handle in handles:
            handle.close(max(0.0, until - time.monotonic()))
        if self._standby:
            self._standby.close()
        self._alarm.close()

    def _count_attendants(self, change: int) -> None:
        with self._lock:
            self._num_attendants += change

    def _notify(self, snapshot: EngineSnapshot) -> None:
        for listener in list(self._listeners):
            try:
                listener(snapshot)
            except Exception:  # the edge: one listener's defect must not end an engine's thread
                _log.exception("a listener of the engines failed")


__all__ = ["EngineHandle", "EngineSnapshot", "EngineState", "Supervisor"]
