"""The local port: opens and closes it on a worker, and says how it is. Knows no widget."""

import secrets
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from app.errors import PortInUseError, SlipstreamError
from ui.bridge import Bridge
from ui.settings.settings_desk import SettingsDesk

if TYPE_CHECKING:
    from app.services import Services

KEY_BYTES = 24


class ServerDesk(QObject):
    changed = Signal()
    port_taken = Signal(object)  # PortInUseError
    refused = Signal(str)
    failed = Signal(str)  # a sentence: the port has stopped by itself

    def __init__(self, services: "Services", settings: SettingsDesk, bridge: Bridge):
        super().__init__(bridge)
        self._services = services
        self._settings = settings
        self._bridge = bridge
        self.is_switching = False
        leave = services.server.subscribe(self._note_failure)
        self.destroyed.connect(lambda: leave())

    @property
    def address(self) -> str | None:
        return self._services.server.address

    @property
    def num_requests(self) -> int:
        return self._services.server.num_requests

    @property
    def trouble(self) -> str | None:
        return self._services.server.trouble

    def start(self) -> None:
        """Open it, now and whenever the window starts."""
        self._remember(True)
        self._switch(self._services.start_server)

    def start_at(self, port: int) -> None:
        """Take another port, and keep it for the next start."""
        self._settings.set(port=port)
        self.start()

    def stop(self) -> None:
        self._remember(False)
        self._switch(self._services.stop_server)

    def renew_key(self) -> None:
        """A new key holds at once: an open port is opened again with it."""
        key = f"sk-slip-{secrets.token_urlsafe(KEY_BYTES)}"
        self._settings.set(api_key=key)
        self._restart()

    def drop_key(self) -> None:
        self._settings.set(api_key=None)
        self._restart()

    def _remember(self, serve: bool) -> None:
        self._settings.set(serve=serve)

    def _restart(self) -> None:
        if self.address:
            self._switch(partial(_restart, self._services))
        self.changed.emit()

    def _switch(self, action: Callable[[], object]) -> None:
        if self.is_switching:
            return
        self.is_switching = True
        self._bridge.call(action, lambda _: self._switched(), self._failed)
        self.changed.emit()

    def _switched(self) -> None:
        self.is_switching = False
        self.changed.emit()

    def _note_failure(self, trouble: str) -> None:
        """On the port's thread."""
        with suppress(RuntimeError):  # the window closes: nobody is left to be told
            self._bridge.call(lambda: trouble, self._stopped)

    def _stopped(self, trouble: str) -> None:
        self.changed.emit()
        self.failed.emit(trouble)

    def _failed(self, error: Exception) -> None:
        self._switched()
        if isinstance(error, PortInUseError):
            self.port_taken.emit(error)
        else:
            is_known = isinstance(error, SlipstreamError)
            self.refused.emit(str(error) if is_known else f"The server did not start: {error}")


def _restart(services: "Services") -> None:
    services.stop_server()
    services.start_server()
