"""The keys that strangers must show, and who counts as one."""

import hmac
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from app.access import is_loopback
from app.server.keys import Keys, digest_of, new_api_key
from app.server.scope import Scope

__all__ = ["Authority", "Pass", "is_loopback", "new_api_key", "shown_key"]

OWN = "slipstream's own commands"  # of a key that only who runs this can read
GIVEN = "given at the start"  # the name of a key that is not among the kept ones


def shown_key(headers: Mapping[str, str]) -> bytes:
    """What stands in x-api-key, or as a bearer in Authorization; ASGI gives each byte as a character of Latin-1."""
    shown = headers.get("x-api-key", "").strip()  # Anthropic's clients; some send it empty beside the bearer
    if not shown:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        shown = token.strip() if scheme.lower() == "bearer" else ""
    return shown.encode("latin-1", "replace")


@dataclass(frozen=True, slots=True)
class Pass:
    """Of a key that was shown: its name, what it allows, and which it is. Another key may have had the name, and
    none the id."""

    name: str
    scope: Scope
    id: str


@dataclass(frozen=True, slots=True)
class Authority:
    """Who has a key. given: one that holds as long as the port is open, beside the kept ones. own: the same, of this
    person's own commands; no stranger needs one because of it. Both may manage. is_exposed: others than programs of
    this machine reach the port."""

    keys: Keys | None = None
    given: str | None = None
    is_exposed: bool = False
    own: str | None = None

    @property
    def needs_key(self) -> bool:
        return self.is_exposed or self.given is not None or (self.keys is not None and self.keys.is_required)

    @property
    def has_key(self) -> bool:
        """Whether there is one that somebody could show."""
        return self.given is not None or (self.keys is not None and bool(self.keys.all()))

    def knows(self, key_id: str) -> bool:
        """Whether this key, which let somebody in, holds still."""
        beside = [digest_of(key.encode()) for key in (self.given, self.own) if key is not None]
        return key_id in beside or (self.keys is not None and self.keys.has(key_id))

    def pass_of(self, shown: bytes) -> Pass | None:
        """Of the key that was shown; None when it is none. The time it takes tells nothing of any key."""
        is_given = self.given is not None and hmac.compare_digest(shown, self.given.encode())
        is_own = self.own is not None and hmac.compare_digest(shown, self.own.encode())
        kept = self.keys.find(shown) if self.keys else None
        if kept and self.keys and self.keys.is_write_due():
            threading.Thread(target=self.keys.write_uses, name="port-call", daemon=True).start()
        if is_given or is_own:
            return Pass(GIVEN if is_given else OWN, Scope.MANAGE, digest_of(shown))
        return Pass(kept.name, kept.scope, kept.digest) if kept else None
