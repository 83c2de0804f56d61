"""Keeps one engine process per loaded model, and brings back those that die."""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from app.errors import EngineError, UnknownModelError
from app.inference.alarm import Alarm
from app.inference.engine_handle import CLOSE_SECONDS, EngineHandle, EngineSnapshot, EngineState
from app.inference.gate import Gate, Preflight
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
        self._leaving: list[EngineHandle] = []  # by themselves, while others have their names
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
        self,
        name: str,
        model: Path,
        options: EngineOptions | None = None,
        backend: str = "llama",
        gate: Gate | None = None,
    ) -> EngineHandle:
        """Start an engine for this model file and return at once; a loaded one of that name is replaced.

        gate: it starts when that lets it.

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
            gate,
        )
        with self._lock:
            if self._is_closed:
                raise EngineError("Slipstream is ending, so no model is loaded any more.")
            previous = self._handles.get(name)
            self._handles[name] = handle
            self._leaving = [each for each in self._leaving if each.is_there]
            if previous and _is_closed(previous):
                self._leaving.append(previous)
            look, self._watch = self._watch, None
        if look:
            self._alarm.every(self._patience.tick, look)
        if previous and not _is_closed(previous):
            previous.close_unloaded()
            previous.close()
        handle.start()
        return handle

    def revive(self, handle: EngineHandle) -> EngineHandle:
        """Load what is down for good once more, under its name and with its options."""
        return self.load(handle.name, handle.model, handle.options, handle.backend, handle.gate)

    def unload(self, name: str) -> None:
        with self._lock:
            handle = self._handles.pop(name, None)
        if handle:
            handle.close_unloaded()
            handle.close()

    def restart(self, name: str) -> None:
        """As a person has asked for it. Raises UnknownModelError."""
        handle = self.get(name)
        seconds = handle.snapshot.silent_seconds or 0.0
        handle.restart(f"it had not answered for {seconds:.0f} s and was restarted", is_asked=True)

    def get(self, name: str) -> EngineHandle:
        """Raises UnknownModelError when no engine of that name is loaded."""
        with self._lock:
            handles = {each.name: each for each in self._handles.values() if not _is_closed(each)}
        handle, known = handles.get(name), ", ".join(handles) or "none"
        if handle is None:
            raise UnknownModelError(f"No model named “{name}” is loaded. Loaded: {known}.")
        return handle

    def engines(self) -> tuple[EngineHandle, ...]:
        """Without those that leave by themselves, whose processes may still be there."""
        with self._lock:
            return tuple(handle for handle in self._handles.values() if not _is_closed(handle))

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

    def every(self, seconds: float, function: Callable[[], None]) -> None:
        """Call a quick function until the end."""
        self._alarm.every(seconds, function)

    def attend(self) -> Callable[[], None]:
        """A person is there to ask before a silent engine is restarted; the function returned ends that."""
        self._count_attendants(1)
        return lambda: self._count_attendants(-1)

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """End every engine, side by side; those that take longer than `seconds` are killed."""
        with self._lock:
            self._is_closed = True
            handles, self._handles = [*self._handles.values(), *self._leaving], {}
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
        if snapshot.state is EngineState.CLOSED:
            self._forget(snapshot.name)
        for listener in list(self._listeners):
            try:
                listener(snapshot)
            except Exception:  # the edge: one listener's defect must not end an engine's thread
                _log.exception("a listener of the engines failed")

    def _forget(self, name: str) -> None:
        """One that has left by itself."""
        with self._lock:
            if (handle := self._handles.get(name)) and _is_closed(handle):
                del self._handles[name]


def _is_closed(handle: EngineHandle) -> bool:
    return handle.snapshot.state is EngineState.CLOSED


__all__ = ["EngineHandle", "EngineSnapshot", "EngineState", "Supervisor"]
