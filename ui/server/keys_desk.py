"""The port's keys: made and revoked on a worker, as each is a file. Knows no widget."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from app.server.scope import Scope
from ui.bridge import Bridge
from ui.server.server_desk import ServerDesk

if TYPE_CHECKING:
    from app.server.keys import Key
    from app.services import Services

NETWORK = "Local network"  # the first key's name, where somebody opens the port to others without any


class KeysDesk(QObject):
    changed = Signal()
    made = Signal(str, str)  # name and key, which cannot be had again
    refused = Signal(str)

    def __init__(self, services: "Services", server: ServerDesk, bridge: Bridge):
        super().__init__(bridge)
        self._keys = services.keys
        self._server = server
        self._bridge = bridge

    @property
    def is_required(self) -> bool:
        """Of programs on this machine."""
        return self._keys.is_required

    def all(self) -> "tuple[Key, ...]":
        return self._keys.all()

    def add(self, name: str, scope: Scope) -> None:
        self._do(partial(self._keys.add, name, scope), partial(self._tell, name))

    def allow(self, name: str, scope: Scope) -> None:
        self._do(partial(self._keys.allow, name, scope))

    def revoke(self, name: str) -> None:
        self._do(partial(self._keys.revoke, name))

    def require(self, is_required: bool) -> None:
        self._do(partial(self._keys.require, is_required))

    def share(self, is_shared: bool) -> None:
        """Open the port to other machines, or to this one alone; with the first key, if there is none."""
        if is_shared and not self.all():
            self._do(partial(self._keys.add, NETWORK), self._share_with)
        else:
            self._server.share(is_shared)

    def _share_with(self, key: str) -> None:
        self._tell(NETWORK, key)
        self._server.share(True)

    def _tell(self, name: str, key: str) -> None:
        self.made.emit(name, key)

    def _do(self, action: Callable[[], object], done: Callable[[str], None] | None = None) -> None:
        def finish(result: object) -> None:
            self.changed.emit()
            self._server.changed.emit()  # whether a key is needed may be otherwise now
            if done:
                done(str(result))

        self._bridge.call(action, finish, self._refuse)

    def _refuse(self, error: Exception) -> None:
        self.changed.emit()
        self.refused.emit(str(error))
