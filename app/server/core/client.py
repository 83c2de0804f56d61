"""Whose request a task answers, as far as the port knows."""

from contextvars import ContextVar
from dataclasses import dataclass

from app.server.auth import is_loopback
from app.server.scope import Scope

KEY_NAME = "slipstream.key"  # in a request's state: what the key is called that let it in


@dataclass(frozen=True, slots=True)
class Client:
    """address: of the other side, as the system tells it. key: the name of the key that was shown. scope: that key's;
    who needs none may do all."""

    address: str = ""
    key: str | None = None
    scope: Scope = Scope.MANAGE

    @property
    def account(self) -> str:
        """With whom this one shares what one may have."""
        return f"key {self.key}" if self.key is not None else f"address {self.address}"

    @property
    def is_owner(self) -> bool:
        """Whoever is let in without a key is on a machine whose person asks for none."""
        return self.key is None

    def may_see(self, key: str | None) -> bool:
        """Also stop and delete: what was asked with this key. None: without one."""
        return self.is_owner or key == self.key

    @property
    def is_one_program(self) -> bool:
        """Without a key, all programs of this machine look alike."""
        return self.key is not None or not is_loopback(self.address)


OWNER = Client()  # the person at this machine

# set by the guard for the task that answers: what it asks of engines is accounted for without every route knowing of it
CLIENT: ContextVar[Client] = ContextVar("client", default=OWNER)
