"""Keeps one engine process per loaded model, and brings back those that die."""

import threading
from collections.abc import Callable
from pathlib import Path

from app.errors import UnknownModelError
from app.inference.engine_handle import EngineHandle, EngineSnapshot, EngineState, Preflight
from backends.protocol import EngineOptions

Listener = Callable[[EngineSnapshot], None]


class Supervisor:
    """Window and port ask it for engines. Listeners are called on the engines' own threads."""

    def __init__(self, logs: Path, preflight: Preflight | None = None):
        self._logs = logs
        self._preflight = preflight
        self._handles: dict[str, EngineHandle] = {}
        self._listeners: list[Listener] = []
        self._lock = threading.Lock()  # the window's thread and the port's both load and look up

    def load(
        self, name: str, model: Path, options: EngineOptions | None = None, backend: str = "llama"
    ) -> EngineHandle:
        """Start an engine for this model file and return at once; a loaded one of that name is replaced."""
        preflight = self._preflight if backend == "llama" else None
        handle = EngineHandle(name, model, options or EngineOptions(), backend, self._logs, preflight, self._notify)
        with self._lock:
            previous = self._handles.get(name)
            self._handles[name] = handle
        if previous:
            previous.close()
        handle.start()
        return handle

    def unload(self, name: str) -> None:
        with self._lock:
            handle = self._handles.pop(name, None)
        if handle:
            handle.close()

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

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call listener at every change of any engine; the function returned ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def close(self) -> None:
        """End every engine; returns when all are gone."""
        with self._lock:
            handles, self._handles = list(self._handles.values()), {}
        for handle in handles:
            handle.close()

    def _notify(self, snapshot: EngineSnapshot) -> None:
        for listener in list(self._listeners):
            listener(snapshot)


__all__ = ["EngineHandle", "EngineSnapshot", "EngineState", "Supervisor"]
