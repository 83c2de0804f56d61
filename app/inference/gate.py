"""What stands between an engine that is wanted and its process."""

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from backends.protocol import EngineOptions

if TYPE_CHECKING:
    from app.inference.engine_handle import EngineHandle


class Preflight(Protocol):
    """Checks the files before the process starts; may change the options, and adds sentences to the load event."""

    def __call__(
        self, model: Path, options: EngineOptions, cancelled: threading.Event | None = None
    ) -> tuple[EngineOptions, tuple[str, ...]]: ...


class Gate(Protocol):
    """Keeps an engine's process from starting before there is room for it. Called on the engine's own thread."""

    def enter(
        self, handle: "EngineHandle", options: EngineOptions, cancelled: threading.Event
    ) -> tuple[EngineOptions, tuple[str, ...]]:
        """Returns when it may start, with the options as they were planned and sentences for the load event. Raises
        NoRoomError, with which it is as if it had not come; EngineError, the end of this load; or Cancelled."""

    def ready(self, handle: "EngineHandle") -> None:
        """It is loaded."""

    def leave(self, handle: "EngineHandle") -> None:
        """Its process is gone, for good. Also of one that has not entered."""
