"""The model that the window talks to: loads, unloads and reloads it, and tells how it is. Knows no widget."""

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from app.errors import EngineError, SlipstreamError, UnknownModelError
from app.inference.engine_handle import EngineHandle, EngineSnapshot, EngineState
from app.inference.users import Hold
from backends.protocol import EngineOptions, Failed, Generate, Output
from ui.bridge import Answer, Bridge
from ui.settings.settings_desk import SettingsDesk
from ui.tool_run import ToolRun

if TYPE_CHECKING:
    from app.library.entry import ModelEntry
    from app.services import Services


USER = "Chat"  # what the window is called among those that use a model


class EngineDesk(QObject):
    changed = Signal()  # anything of entry, snapshot and is_switching
    crashed = Signal(object)  # CrashReport
    refused = Signal(str)  # a sentence: this model cannot be loaded
    fell_short = Signal(str, str)  # a sentence: there was too little memory for it; and the last lines of its log
    noted = Signal(str)  # a sentence: it was loaded, but not as well as it could be

    def __init__(self, services: "Services", settings: SettingsDesk, bridge: Bridge):
        super().__init__(bridge)
        self._services = services
        self._settings = settings
        self._bridge = bridge
        self._num_switches = 0
        self._former: ModelEntry | None = None  # answered before; comes back if the one that is loading cannot
        self._one_switch = threading.Lock()  # workers load: two choices in a row must not overtake each other
        self.entry: ModelEntry | None = None
        self.handle: EngineHandle | None = None
        self.snapshot: EngineSnapshot | None = None
        bridge.engine_changed.connect(self._take)

    @property
    def is_ready(self) -> bool:
        return self.snapshot is not None and self.snapshot.state is EngineState.READY

    @property
    def is_loading(self) -> bool:
        is_loading = self.snapshot is not None and self.snapshot.state is EngineState.LOADING
        return is_loading or (self.entry is not None and self.handle is None)

    @property
    def is_resting(self) -> bool:
        """It was unloaded, for another or because nobody asked it for long; the next question loads it again."""
        is_closed = self.snapshot is not None and self.snapshot.state is EngineState.CLOSED
        return self.entry is not None and is_closed

    @property
    def name(self) -> str | None:
        return self.entry.name if self.entry else None

    @property
    def is_base(self) -> bool:
        """Whether the loaded model has no chat format."""
        ready = self.snapshot.ready if self.snapshot and self.is_ready else None
        return ready is not None and ready.is_base

    @property
    def takes_tools(self) -> bool | None:
        """Whether the loaded model's chat template knows tools. None: no model is loaded."""
        ready = self.snapshot.ready if self.snapshot and self.is_ready else None
        return None if ready is None else ready.takes_tools

    def load(self, entry: "ModelEntry", options: EngineOptions | None = None) -> None:
        """Load this model; the one before is unloaded unless it is pinned, or a program uses it. options: others than
        those that hold for all of its loads."""
        is_other = self.entry is not None and self.entry.id != entry.id
        if is_other and self.is_ready:
            self._former = self.entry
        self._load(entry, self._services.residency.release if is_other else None, options)

    def _load(
        self, entry: "ModelEntry", leave: Callable[[str], object] | None, options: EngineOptions | None = None
    ) -> None:
        """leave: what becomes of the engine before, once the file has been looked at."""
        before = partial(leave, self.handle.name) if self.handle and leave else None
        self.entry, self.handle, self.snapshot = entry, None, None
        self._num_switches += 1
        self._bridge.call(
            partial(self._switch, self._num_switches, before, entry, options),
            partial(self._loaded, self._num_switches),
            partial(self._not_loaded, self._num_switches),
        )
        self.changed.emit()

    def reload(self) -> None:
        """Anew, whatever its settings were."""
        if self.entry:
            self._load(self.entry, self._services.unload_model)

    def load_what_fits(self) -> None:
        """Anew, with the context and the GPU layers that a plan chooses, whatever the settings say."""
        if self.entry:
            options = replace(self._services.options_for(self.entry), context=None, gpu_layers=None)
            self._load(self.entry, self._services.unload_model, options)

    def unload(self) -> None:
        self._former = None
        handle, self.entry, self.handle, self.snapshot = self.handle, None, None, None
        self._num_switches += 1
        if handle:
            self._bridge.call(partial(self._services.unload_model, handle.name), lambda _: None)
        self.changed.emit()

    def check(self, request: Generate) -> None:
        """Raises RequestError when its length alone says that it cannot fit."""
        if self.handle:
            self.handle.check(request)

    def submit(self, request: Generate) -> Answer:
        """Raises EngineError unless the engine is ready and takes requests, RequestError for one that cannot fit."""
        if self.handle is None:
            raise EngineError("No model is loaded. Choose one first.")
        hold = self.handle.hold(USER)
        if hold is None:
            raise EngineError(f"“{self.name}” makes room for another model. Try again in a moment.")
        answer = Answer()
        try:
            answer.uid = self.handle.submit(request, partial(self._hear, answer, hold))
        except BaseException:
            hold.end()
            raise
        return answer

    def submit_with_tools(self, request: Generate) -> ToolRun:
        """Raises EngineError unless the engine is ready and takes requests."""
        if self.handle is None or self.snapshot is None or self.snapshot.ready is None:
            raise EngineError("No model is loaded. Choose one first.")
        hold = self.handle.hold(USER)
        if hold is None:
            raise EngineError(f"“{self.name}” makes room for another model. Try again in a moment.")
        run = ToolRun(self._bridge.tell, hold.end)
        run.begin(self.handle, self.snapshot.ready, self._services.toolbox, request)
        return run

    def _hear(self, answer: Answer, hold: Hold, event: Output | Failed) -> None:
        """On the engine's thread."""
        if isinstance(event, Failed) or (isinstance(event, Output) and event.finish):
            hold.end()
        self._bridge.tell_output(answer, event)

    def abort(self, answer: Answer) -> None:
        if isinstance(answer, ToolRun):
            answer.stop()
        elif self.handle and answer.uid is not None:
            self.handle.abort(answer.uid)

    def _switch(
        self, number: int, leave: Callable[[], object] | None, entry: "ModelEntry", options: EngineOptions | None
    ) -> EngineHandle | None:
        with self._one_switch:
            if number != self._num_switches:  # the person has chosen again meanwhile
                return None
            self._services.require_readable(entry)  # before the one that works makes room for it
            if leave:
                leave()
            return self._services.take_up(entry, options)

    def _loaded(self, number: int, handle: EngineHandle | None) -> None:
        if handle is None:
            return
        if number != self._num_switches or self.entry is None:
            if self.entry is None or self.entry.path != handle.model:  # else a newer load has replaced this one
                self._bridge.call(partial(self._services.residency.release, handle.name), lambda _: None)
            return
        self.handle = handle
        self._take(handle.snapshot)

    def _not_loaded(self, number: int, error: Exception) -> None:
        if number != self._num_switches:
            return
        self.entry = None
        text = str(error) if isinstance(error, SlipstreamError) else f"The model could not be loaded: {error}"
        self.refused.emit(text)
        self.changed.emit()
        self._bring_back()

    def _bring_back(self) -> None:
        """The model that worked before: one that cannot be loaded must not cost it."""
        former, self._former = self._former, None
        if former is not None:
            self.load(former)

    def _is_at_work(self) -> None:
        """It can be loaded: it is the one of the next start."""
        self._former = None
        if self.entry is not None and self._settings.settings.last_model != self.entry.id:
            self._settings.set(last_model=self.entry.id)

    def _take(self, snapshot: EngineSnapshot) -> None:
        if self.handle is None or snapshot.name != self.handle.name:
            return
        if snapshot.state is EngineState.CLOSED and self.handle.snapshot.state is not EngineState.CLOSED:
            return  # the last word of the engine that this one has replaced
        if snapshot.state is not EngineState.CLOSED and self.handle.snapshot.state is EngineState.CLOSED:
            with suppress(UnknownModelError):  # the port has loaded again what was down
                self.handle = self._services.supervisor.get(snapshot.name)
        before, self.snapshot = self.snapshot, snapshot
        has_changed_state = before is None or before.state is not snapshot.state
        if has_changed_state and snapshot.ready and snapshot.state is EngineState.READY:
            self._is_at_work()
            for note in snapshot.ready.notes:
                self.noted.emit(note)
        has_crashed = snapshot.crash is not None and (before is None or before.crash != snapshot.crash)
        has_failed = has_changed_state and snapshot.state is EngineState.FAILED
        if snapshot.is_of_memory and (has_crashed or has_failed):
            log = snapshot.crash.log if snapshot.crash else ()
            self.fell_short.emit(snapshot.error or "The model ran out of memory.", "\n".join(log))
        elif has_crashed:
            self.crashed.emit(snapshot.crash)
        elif has_failed:
            self.refused.emit(snapshot.error or "The model could not be loaded.")
            self._bring_back()
        self.changed.emit()
