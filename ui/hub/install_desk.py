"""Hands what a person wants to install to those who install, on a worker: it looks into the library first."""

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from app.errors import AlreadyThere
from app.jobs.install_request import InstallRequest
from ui.bridge import Bridge
from ui.hub.notices import sentence

if TYPE_CHECKING:
    from app.services import Services


class InstallDesk(QObject):
    begun = Signal(object)  # InstallRequest
    refused = Signal(str)
    is_there = Signal(object)  # AlreadyThere: in the library, or on its way

    def __init__(self, services: "Services", bridge: Bridge):
        super().__init__(bridge)
        self._services = services
        self._bridge = bridge

    def install(self, request: InstallRequest) -> None:
        self._bridge.call(
            partial(self._services.installs.install, request),
            lambda _: self.begun.emit(request),
            self._tell,
        )

    def _tell(self, error: Exception) -> None:
        if isinstance(error, AlreadyThere):
            self.is_there.emit(error)
        else:
            self.refused.emit(sentence(error))
