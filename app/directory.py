"""The models as the port names them: ids of the library, and what a person has loaded. No path in a request counts."""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Set
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from app.errors import ModelFileError, UnknownModelError
from app.inference.engine_handle import EngineHandle, EngineState
from app.inference.supervisor import Supervisor
from app.library.entry import ModelEntry
from app.library.finding import find_short
from app.library.gguf import read_model
from app.library.library import Library
from app.library.naming import stem_of
from app.library.origin import Origin
from app.library.own_models import FIRST_MODEL
from app.residency.residency import Loaded, Residency
from app.residency.room import RAM
from app.server.core.directory import Capability, ModelFacts, unknown_name
from app.server.core.keeping import ModelKeeper
from backends.bounds import as_name
from backends.protocol import Ready

REVIVE_SECONDS = 10.0  # between two tries to load what is down: each takes the machine's time
LIST_SECONDS = 5.0  # for a list of names; on a slow disk the rest is read for the next one
MAX_FOLDERS = 8  # of a file's place that its name may tell


class Directory:
    """The library and the engines as the port sees them. `load` takes an entry and the name of its engine."""

    def __init__(
        self,
        library: Library,
        supervisor: Supervisor,
        load: Callable[[ModelEntry, str], EngineHandle],
        check_memory: Callable[[ModelEntry], None] = lambda _: None,
        answers_any_name: Callable[[], bool] = lambda: False,
        keeper: ModelKeeper | None = None,
        residency: Residency | None = None,
    ):
        """check_memory: raises EngineError where a model cannot have the memory that it needs. answers_any_name:
        whether a loaded model answers to a name that no model has."""
        self.keeper = keeper
        self._library = library
        self._supervisor = supervisor
        self._load = load
        self._check_memory = check_memory
        self._answers_any_name = answers_any_name
        self._residency = residency
        self._outside: dict[Path, ModelEntry] = {}  # files that are no model of the library, and were loaded
        self._tried: dict[Path, float] = {}  # when a request has last had this file loaded
        self._lock = threading.Lock()  # two requests for a model that is not loaded must load it once

    def names(self) -> list[str]:
        loaded = [handle.name for handle in self._supervisor.engines()]
        return loaded + [entry.id for entry in self._runnable(LIST_SECONDS) if entry.id not in loaded]

    def facts(self) -> dict[str, ModelFacts]:
        entries = self._runnable()
        by_path = self._outside | {entry.path: entry for entry in entries}
        loaded = {each.snapshot.name: each for each in self._residency.loaded()} if self._residency else {}
        facts = {
            each.name: _with_residency(_facts(each.name, by_path.get(each.model), each), loaded.get(each.name))
            for each in self._supervisor.engines()
        }
        return facts | {entry.id: _facts(entry.id, entry) for entry in entries if entry.id not in facts}

    def header(self, name: str) -> dict[str, Any]:
        engine = next((handle.model for handle in self._supervisor.engines() if handle.name == name), None)
        path = engine or next((entry.path for entry in self._runnable() if entry.id == name), None)
        try:
            metadata = read_model(path).metadata if path else {}
        except ModelFileError:  # its entry, or its engine, says why
            return {}
        return {key: value for key, value in metadata.items() if isinstance(value, str | int | float)}

    def engines(self) -> tuple[EngineHandle, ...]:
        return self._supervisor.engines()

    def engine(self, name: str | None) -> EngineHandle:
        """Raises UnknownModelError. No name is ever looked up on the disk: a file that is there and one that is not
        give the same answer."""
        checked: set[Path] = set()
        while True:
            with self._lock:
                found = self._engine(name, checked) if name else self._only(checked)
            if isinstance(found, EngineHandle):
                return found
            self._check_memory(found)  # a plan may be made for it, which requests for other models do not wait for
            checked.add(found.path)

    def answering(self, name: str) -> str | None:
        """As `engine` finds it, by the name that `facts` has for it."""
        engines = self._supervisor.engines()
        if name in [handle.name for handle in engines]:
            return name
        entry = self._entry(name) or find_short(name, self._runnable())
        if entry:
            return next((handle.name for handle in engines if handle.model == entry.path), entry.id)
        loaded = self._loaded() if self._answers_any_name() else []
        return loaded[0].name if loaded else None

    def keep(self, name: str, seconds: float) -> None:
        if self._residency and (answering := self.answering(name)):
            self._residency.keep(answering, seconds)

    def loading(self) -> float | None:
        return self._supervisor.loading()

    def find(self, name: str) -> ModelEntry:
        """What a program's name stands for, to be loaded or measured. Raises UnknownModelError and ModelFileError."""
        entry = self._entry(name)
        if entry is None:
            self._refuse_unfit(name)
            entry = find_short(name, self._runnable())
        if entry is None:
            raise UnknownModelError(unknown_name(name, self.names(), [handle.name for handle in self._loaded()]))
        return entry if entry.is_read else self._read(entry)

    def free_name(self, entry: ModelEntry, others: Iterable[ModelEntry] = ()) -> str:
        """For an engine of this model: its id, unless that means another model. A file from outside the library is
        called by its stem, and that may be any model's id: then its folders say which.

        others: models that are loaded together with it; so the order in which they are named does not count.
        """
        if os.path.isabs(entry.id):
            self._outside[entry.path] = entry
        taken = {known.id for known in self._library.look(0.0).entries if known.path != entry.path}
        taken |= {handle.name for handle in self._supervisor.engines() if handle.model != entry.path}
        taken |= {next(_names(other)) for other in others if other.path != entry.path}
        return next(name for name in _names(entry) if name not in taken)

    def _engine(self, name: str, checked: Set[Path]) -> EngineHandle | ModelEntry:
        """Or what would have to be loaded, if it is none of those for which memory has been checked."""
        entry = self._entry(name)
        if entry is None:
            self._refuse_unfit(name)
            if named := next((handle for handle in self._supervisor.engines() if handle.name == name), None):
                return self._living(named, checked)
            entry = find_short(name, self._runnable())
        if entry is None and self._answers_any_name() and (loaded := self._loaded()):
            return loaded[0]
        if entry is None:
            raise UnknownModelError(unknown_name(name, self.names(), [handle.name for handle in self._loaded()]))
        if not entry.is_read:
            entry = self._read(entry)
        # by its file: an engine of that name may have been loaded from another one
        loaded = [handle for handle in self._supervisor.engines() if handle.model == entry.path]
        if loaded:
            living = [handle for handle in loaded if not _is_down(handle)] or loaded
            return self._living(next((handle for handle in living if handle.name == name), living[0]), checked)
        return self._load_entry(entry, checked)

    def _loaded(self) -> list[EngineHandle]:
        return [handle for handle in self._supervisor.engines() if handle.snapshot.state is EngineState.READY]

    def _living(self, handle: EngineHandle, checked: Set[Path]) -> EngineHandle | ModelEntry:
        """It, or another in its place when it is down. Raises EngineError when that has just been tried."""
        if not _is_down(handle):
            return handle
        if time.monotonic() - self._tried.get(handle.model, -REVIVE_SECONDS) < REVIVE_SECONDS:
            raise handle.snapshot.refusal()
        entry = next((known for known in self._runnable() if known.path == handle.model), None)
        if entry and handle.snapshot.ready is None:  # it never ran with its options; the settings may be others now
            return self._load_entry(entry, checked)
        if entry and entry.path not in checked:
            return entry
        self._tried[handle.model] = time.monotonic()
        return self._supervisor.revive(handle)

    def _load_entry(self, entry: ModelEntry, checked: Set[Path]) -> EngineHandle | ModelEntry:
        if entry.path not in checked:
            return entry
        self._tried[entry.path] = time.monotonic()
        return self._load(entry, self.free_name(entry))

    def _entry(self, name: str) -> ModelEntry | None:
        """Ollama's models may be named without their tag, as Ollama does it."""
        entries = {entry.id: entry for entry in self._runnable()}
        short = entries.get(f"{name}:latest")
        return entries.get(name) or (short if short and short.origin is Origin.OLLAMA else None)

    def _refuse_unfit(self, name: str) -> None:
        """Raises ModelFileError, with the reason, for what the library lists and cannot run."""
        entry = next((known for known in self._library.look(0.0).entries if known.id == name), None)
        if entry and entry.problem and not entry.is_loadable:
            raise ModelFileError(entry.problem)

    def _read(self, entry: ModelEntry) -> ModelEntry:
        """With its header known. Raises ModelFileError for one that proves unfit."""
        entry = self._library.find(str(entry.path))
        if not entry.is_offered:
            raise ModelFileError(entry.problem or f"{entry.id} cannot be loaded.")
        return entry

    def _only(self, checked: Set[Path]) -> EngineHandle | ModelEntry:
        engines = self._supervisor.engines()
        if engines:
            return self._living(next((handle for handle in engines if not _is_down(handle)), engines[0]), checked)
        entries = [entry for entry in self._runnable() if entry.can_chat]
        if len(entries) == 1:
            return self._load_entry(entries[0], checked)
        if not entries:
            raise UnknownModelError(f"There is no model here. {FIRST_MODEL}")
        raise UnknownModelError("No model is loaded. Name one of the library in “model”.")

    def _runnable(self, patience: float = 0.0) -> list[ModelEntry]:
        """patience: seconds for headers that nobody has read yet; what is not read may still prove unfit."""
        return [entry for entry in self._library.look(patience).entries if entry.is_offered]


def _names(entry: ModelEntry) -> Iterator[str]:
    """Best first, without end: x, b/x, a/b/x, …"""
    base = as_name(stem_of(entry.path.name)) if os.path.isabs(entry.id) else entry.id
    yield base
    folders = entry.path.parent.parts[-MAX_FOLDERS:]
    for level in range(1, len(folders) + 1):
        yield as_name("/".join((*folders[-level:], base)))
    yield from (f"{base}#{number}" for number in count(2))


def _facts(name: str, entry: ModelEntry | None, handle: EngineHandle | None = None) -> ModelFacts:
    """What the engine says of itself counts more than what its file's header said."""
    ready, stats = (handle.snapshot.ready, handle.snapshot.stats) if handle else (None, None)
    is_loaded = handle is not None and handle.snapshot.state is EngineState.READY
    return ModelFacts(
        entry.name if entry else name,
        is_loaded,
        architecture=(ready.architecture if ready else entry.architecture if entry else None) or None,
        quantization=(entry.quantization if entry else None) or None,
        parameters=(ready.num_parameters if ready else entry.parameters if entry else None) or None,
        bytes=entry.bytes if entry else ready.model_bytes if ready else None,  # the file's, if it is known
        context_trained=ready.context_trained if ready else entry.context if entry else None,
        context=ready.context if ready and is_loaded else None,
        cells=stats.cells if stats and is_loaded else None,
        is_base=ready.is_base if ready else entry.is_base if entry and entry.is_read else None,
        is_embedder=not ready.generates if ready else entry.is_embedder if entry and entry.is_read else None,
        modified=_modified(entry.path if entry else handle.model if handle else None),
        capabilities=_capabilities(entry, ready),
        state=handle.snapshot.state.value if handle else "unloaded",
    )


def _with_residency(facts: ModelFacts, loaded: Loaded | None) -> ModelFacts:
    if loaded is None or not facts.is_loaded:
        return facts
    memory = sum(loaded.taken.values())
    return replace(facts, memory=memory or None, memory_gpu=memory - loaded.taken.get(RAM, 0), leaves=loaded.leaves)


def _modified(path: Path | None) -> datetime | None:
    with suppress(OSError, ValueError, OverflowError):
        return datetime.fromtimestamp(path.stat().st_mtime, UTC) if path else None
    return None


def _capabilities(entry: ModelEntry | None, ready: Ready | None) -> frozenset[Capability]:
    """What only a load finds out, whether it thinks or fills in, is told of a loaded one."""
    if ready.generates is False if ready else bool(entry and entry.is_embedder):
        return frozenset({Capability.EMBEDDING})
    is_base = ready.is_base if ready else bool(entry and entry.is_base)
    found = {Capability.COMPLETION} if is_base else {Capability.COMPLETION, Capability.TOOLS}
    if ready and ready.vocabulary.fills_in:
        found.add(Capability.INSERT)
    if ready and ready.thinks:
        found.add(Capability.THINKING)
    return frozenset(found)


def _is_down(handle: EngineHandle) -> bool:
    return handle.snapshot.state in (EngineState.FAILED, EngineState.CLOSED)
