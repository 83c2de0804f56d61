"""The models as the port names them: ids of the library, and what a person has loaded. No path in a request counts."""

import threading
from collections.abc import Callable

import psutil

from app.errors import EngineError, UnknownModelError
from app.inference.engine_handle import EngineHandle
from app.inference.supervisor import Supervisor
from app.library.entry import ModelEntry
from app.library.library import Library
from app.library.origin import Origin
from app.server.api_error import MAX_QUOTED, cut
from app.server.directory import unknown_name

MEMORY_LEFT = 0.9  # of the free RAM that a model loaded on a program's request may take


class Directory:
    """The library and the engines as the port sees them. `load` takes an entry and the name of its engine."""

    def __init__(self, library: Library, supervisor: Supervisor, load: Callable[[ModelEntry, str], EngineHandle]):
        self._library = library
        self._supervisor = supervisor
        self._load = load
        self._lock = threading.Lock()  # two requests for a model that is not loaded must load it once

    def names(self) -> list[str]:
        loaded = [handle.name for handle in self._supervisor.engines()]
        return loaded + [entry.id for entry in self._runnable() if entry.id not in loaded]

    def engine(self, name: str | None) -> EngineHandle:
        """Raises UnknownModelError. No name is ever looked up on the disk: a file that is there and one that is not
        give the same answer."""
        with self._lock:
            return self._engine(name) if name else self._only()

    def free_name(self, entry: ModelEntry) -> str:
        """For an engine of this model: its id, unless that means another model. A file from outside the library is
        called by its stem, and that may be any model's id."""
        taken = {known.id for known in self._library.look(0.0).entries if known.path != entry.path}
        taken |= {handle.name for handle in self._supervisor.engines() if handle.model != entry.path}
        name, number = entry.id, 2
        while name in taken:
            name, number = f"{entry.id}#{number}", number + 1
        return name

    def _engine(self, name: str) -> EngineHandle:
        living = self._supervisor.living()  # others are loaded anew
        entry = self._entry(name)
        if entry is None:
            if named := next((handle for handle in living if handle.name == name), None):
                return named
            raise UnknownModelError(unknown_name(name, self.names()))
        # by its file: an engine of that name may have been loaded from another one
        loaded = [handle for handle in living if handle.model == entry.path]
        if loaded:
            return next((handle for handle in loaded if handle.name == name), loaded[0])
        _check_memory(entry)
        return self._load(entry, self.free_name(entry))

    def _entry(self, name: str) -> ModelEntry | None:
        """Ollama's models may be named without their tag, as Ollama does it."""
        entries = {entry.id: entry for entry in self._runnable()}
        short = entries.get(f"{name}:latest")
        return entries.get(name) or (short if short and short.origin is Origin.OLLAMA else None)

    def _only(self) -> EngineHandle:
        engines = self._supervisor.living()
        if engines:
            return engines[0]
        entries = self._runnable()
        if len(entries) == 1:
            return self._load(entries[0], self.free_name(entries[0]))
        raise UnknownModelError("No model is loaded. Name one of the library in “model”.")

    def _runnable(self) -> list[ModelEntry]:
        return [entry for entry in self._library.look(0.0).entries if not entry.is_checkpoint]


def _check_memory(entry: ModelEntry) -> None:
    """A request from outside must not push the machine into swapping."""
    free = psutil.virtual_memory().available
    if entry.bytes > MEMORY_LEFT * free:
        raise EngineError(
            f"“{cut(entry.id, MAX_QUOTED)}” needs {entry.bytes / 1e9:.1f} GB and {free / 1e9:.1f} GB of memory are "
            "free. Unload another model first."
        )
