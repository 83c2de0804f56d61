"""The local port: opens and closes it on a worker, and says how it is. Knows no widget."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from PySide6.QtCore import QObject, Signal

from app.errors import PortInUseError, SlipstreamError
from app.server.address import require_bindable
from app.server.auth import is_loopback
from app.server.core.calls import CallBook
from app.server.own_address import network_address
from app.server.request_log import FILE_NAME
from app.server.tls import certificate_from
from ui.bridge import Bridge
from ui.settings.settings_desk import SettingsDesk

if TYPE_CHECKING:
    from app.services import Services
    from app.settings import Settings

THIS_MACHINE, ALL_MACHINES = "127.0.0.1", "0.0.0.0"


class ServerDesk(QObject):
    changed = Signal()
    port_taken = Signal(object)  # PortInUseError
    stayed = Signal()  # the port could not move
    refused = Signal(str)
    failed = Signal(str)  # a sentence: the port has stopped by itself

    def __init__(self, services: "Services", settings: SettingsDesk, bridge: Bridge):
        super().__init__(bridge)
        self._services = services
        self._settings = settings
        self._bridge = bridge
        self.is_switching = False
        self._tried: int | None = None  # the port of which it is asked now whether it can be had
        self._next: Callable[[], object] | None = None  # what was asked for meanwhile; the newest counts
        leave = services.server.subscribe(self._note_failure)
        self.destroyed.connect(lambda: leave())

    @property
    def address(self) -> str | None:
        return self._services.server.address

    @property
    def settings(self) -> "Settings":
        return self._services.settings

    @property
    def here(self) -> str:
        """The base URL for programs of this machine, also while the port is closed."""
        address = self.address or f"http://{THIS_MACHINE}:{self.settings.port}"
        return address.replace(ALL_MACHINES, THIS_MACHINE)

    @property
    def elsewhere(self) -> str | None:
        """The base URL for those of other machines; None while they do not reach it."""
        if not self.address or not self._services.server.is_exposed:
            return None
        own = network_address()
        return self.address.replace(ALL_MACHINES, own) if own else None

    @property
    def needs_key(self) -> bool:
        server = self._services.server
        return server.needs_key if self.address else self.is_shared or self._services.keys.is_required

    @property
    def is_shared(self) -> bool:
        """Whether other machines may reach it when it is open."""
        return not is_loopback(self.settings.host)

    @property
    def num_requests(self) -> int:
        return self._services.server.num_requests

    @property
    def calls(self) -> CallBook:
        return self._services.server.calls

    @property
    def log_path(self) -> Path:
        return self._services.paths.logs / FILE_NAME

    @property
    def trouble(self) -> str | None:
        return self._services.server.trouble

    def stop_request(self, call_id: int) -> None:
        self._services.server.stop_request(call_id)

    def start(self) -> None:
        """Open it, now and whenever the window starts."""
        self._remember(True)
        self._switch(self._services.start_server)

    def start_at(self, port: int) -> None:
        """Take another port, and keep it for the next start."""
        if self.address:
            self.move_to(port)
            return
        self._settings.set(port=port)
        self.start()

    def stop(self) -> None:
        self._remember(False)
        self._switch(self._services.stop_server)

    def move_to(self, port: int) -> None:
        """Another port; an open one moves at once, and stays where it is if that one cannot be had."""
        if self.address is None or urlsplit(self.address).port == port:
            self._move(port)
        elif port != self._tried:  # a field may say it twice
            self._tried, host = port, self.settings.host
            self._bridge.call(lambda: require_bindable(host, port), lambda _: self._move(port), self._stay)

    def _move(self, port: int) -> None:
        self._tried = None
        if self._settings.set(port=port):
            self.restart()

    def _stay(self, error: Exception) -> None:
        self._tried = None
        self.stayed.emit()
        self._complain(error)

    def share(self, is_shared: bool) -> None:
        """Whether other machines may reach it. Keys must be there by then."""
        if self._settings.set(host=ALL_MACHINES if is_shared else THIS_MACHINE):
            self.restart()

    def encrypt(self, certificate: str, key: str) -> None:
        """Checked before anything changes: `refused` says what is wrong with either."""

        def check() -> None:
            if chosen := certificate_from(certificate, key):
                chosen.context()

        self._bridge.call(check, lambda _: self._encrypt(certificate, key), self._complain)

    def stop_encrypting(self) -> None:
        self._encrypt(None, None)

    def drop_old_key(self) -> None:
        """The one of an earlier version, which the settings hold in the clear."""
        if self._settings.set(api_key=None):
            self.restart()

    def restart(self) -> None:
        if self.address or (self.is_switching and self.settings.serve):
            self._switch(partial(_restart, self._services))
        self.changed.emit()

    def _encrypt(self, certificate: str | None, key: str | None) -> None:
        if self._settings.set(tls_cert=certificate, tls_key=key):
            self.restart()

    def _remember(self, serve: bool) -> None:
        self._settings.set(serve=serve)

    def _switch(self, action: Callable[[], object]) -> None:
        if self.is_switching:
            self._next = action
            return
        self.is_switching = True
        self._bridge.call(action, lambda _: self._switched(), self._failed)
        self.changed.emit()

    def _switched(self) -> None:
        self.is_switching = False
        following, self._next = self._next, None
        if following:
            self._switch(following)
        else:
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
        self._complain(error)

    def _complain(self, error: Exception) -> None:
        if isinstance(error, PortInUseError):
            self.port_taken.emit(error)
        else:
            is_known = isinstance(error, SlipstreamError)
            self.refused.emit(str(error) if is_known else f"The server did not start: {error}")


def _restart(services: "Services") -> None:
    services.stop_server()
    services.start_server()
