"""By which names this port may be called, and from which web pages. Values, which may change while it is open."""

import ipaddress
import re
from dataclasses import dataclass

from app.errors import UsageError

MAX_ENTRIES = 100
MAX_LENGTH = 255  # of a name in DNS
ANY = "*"
WEB = ("http", "https")  # of whose origins each is named: all of the web would be let in
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*|\[[0-9a-f:.]+\]")
_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://([a-z0-9_.-]+|\[[0-9a-f:.]+\]|\*)(:[0-9]{1,5})?")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


@dataclass(frozen=True, slots=True)
class Access:
    """Beside the machine's own names and pages. hosts: as in a Host header, without a port; `*` is any, and counts only
    while a key is required, as no page that has made its name ours has one. origins: as browsers send them."""

    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()

    def with_more(self, other: "Access") -> "Access":
        return Access(
            tuple(dict.fromkeys((*self.hosts, *other.hosts))), tuple(dict.fromkeys((*self.origins, *other.origins)))
        )

    def knows_host(self, name: str, needs_key: bool) -> bool:
        """name: lower case, without a port."""
        return name in self.hosts or (needs_key and ANY in self.hosts)

    def knows_origin(self, origin: str) -> bool:
        scheme, separator, _ = origin.partition("://")
        if origin in self.origins:
            return True
        # a view of an editor has another name each time
        return bool(separator) and scheme not in WEB and f"{scheme}://{ANY}" in self.origins


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach a port that is bound to this host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def host_from(text: str) -> str:
    """A name as it is compared. Raises UsageError for what is none."""
    name = text.strip().lower().removesuffix(".")
    if name == ANY:
        return name
    if ":" in name and not name.startswith("[") and name.count(":") > 1:
        name = f"[{name}]"
    if len(name) > MAX_LENGTH or not _HOST.fullmatch(name):
        raise UsageError(
            f"“{text}” is not a host name. Give the name alone, without http:// or a port, as in "
            "“desk.tailnet.ts.net”; “*” allows any."
        )
    return name


def origin_from(text: str) -> str:
    """An origin as browsers write it. Raises UsageError for what is none."""
    origin = text.strip().lower().removesuffix("/")
    if origin in (ANY, "null"):
        raise UsageError(f"Name each origin: “{text}” would let in every page that a browser shows.")
    found = _ORIGIN.fullmatch(origin)
    if not found or len(origin) > MAX_LENGTH or (found[2] == ANY and (found[1] in WEB or found[3])):
        raise UsageError(
            f"“{text}” is not an origin. Write it as browsers do: “http://localhost:3000”, “app://obsidian.md” or "
            "“vscode-webview://*”."
        )
    return origin.removesuffix(_DEFAULT_PORTS.get(found[1], "/"))
