"""What is loaded, whoever has loaded it; unloads and pins it on a worker. Knows no widget."""

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from app.errors import SlipstreamError
from app.residency.room import RAM
from ui.bridge import Bridge
from ui.figures import size

if TYPE_CHECKING:
    from app.residency.residency import Loaded
    from app.services import Services


class LoadedDesk(QObject):
    changed = Signal()  # something was unloaded or pinned
    refused = Signal(str)  # a sentence

    def __init__(self, services: "Services", bridge: Bridge):
        super().__init__(bridge)
        self._services = services
        self._bridge = bridge

    def loaded(self) -> "tuple[Loaded, ...]":
        return self._services.residency.loaded()

    def room(self) -> str:
        """What is kept for them of what they may have, in a line."""
        limits, kept = self._services.residency.room()
        parts = [f"{size(kept.get(device, 0))} of {size(limit)} {_named(device)}" for device, limit in limits.items()]
        return f"Kept free for them: {', '.join(parts)}"

    def unload(self, name: str) -> None:
        self._call(partial(self._services.unload_model, name))

    def pin(self, name: str, is_pinned: bool) -> None:
        self._call(partial(self._services.residency.pin, name, is_pinned))

    def _call(self, work: partial[None]) -> None:
        self._bridge.call(work, lambda _: self.changed.emit(), self._tell)

    def _tell(self, error: Exception) -> None:
        self.refused.emit(str(error) if isinstance(error, SlipstreamError) else f"That could not be done: {error}")


def _named(device: str) -> str:
    return device if device == RAM else f"{device} memory"
