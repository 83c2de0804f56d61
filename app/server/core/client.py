"""Whose request a task answers, as far as the port knows."""

from contextvars import ContextVar
from dataclasses import dataclass

from app.server.auth import Pass, is_loopback
from app.server.scope import Scope

CLIENT_STATE = "slipstream.client"  # in a request's state, once it is let in: the Client


@dataclass(frozen=True, slots=True)
class Client:
    """address: of the other side, as the system tells it. shown: of the key that let it in; None: it needed none."""

    address: str = ""
    shown: Pass | None = None

    @property
    def key(self) -> str | None:
        """What its key is called, for people to read: another may have had the name before. See `key_id`."""
        return self.shown.name if self.shown else None

    @property
    def key_id(self) -> str | None:
        """Which key it is: whose things are its own."""
        return self.shown.id if self.shown else None

    @property
    def scope(self) -> Scope:
        """Who needs no key may do all."""
        return self.shown.scope if self.shown else Scope.MANAGE

    @property
    def account(self) -> str:
        """With whom this one shares what one may have."""
        return f"key {self.key_id}" if self.shown else f"address {self.address}"

    @property
    def is_owner(self) -> bool:
        """Whoever is let in without a key is on a machine whose person asks for none."""
        return self.shown is None

    def may_see(self, key_id: str | None) -> bool:
        """Also stop and delete: what was asked with this key. None: without one."""
        return self.is_owner or key_id == self.key_id

    @property
    def is_one_program(self) -> bool:
        """Without a key, all programs of this machine look alike."""
        return self.shown is not None or not is_loopback(self.address)


OWNER = Client()  # the person at this machine

# set by the guard for the task that answers: what it asks of engines is accounted for without every route knowing of it
CLIENT: ContextVar[Client] = ContextVar("client", default=OWNER)
