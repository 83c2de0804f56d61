"""What a person has configured: which MCP servers there are, and what their tools may do. Values, bounded at the door.

A secret's value is none of them: only its name is, the value lies in the keyring.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from app.access import is_loopback
from app.errors import UsageError

BUILT_IN = "Slipstream"  # the source of the tools that come with the application; no server may be called so
MAX_SERVERS = 32
MAX_GRANTS = 2000
MAX_ARGUMENTS = 64
MAX_VARIABLES = 64
MAX_VALUE = 4096  # characters of an argument, a path or a variable
MAX_TOOL_NAME = 128
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 _.-]{0,38}[A-Za-z0-9])?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


class Permission(StrEnum):
    """What happens when a model calls a tool. ASK: each call waits for the person."""

    ASK = "ask"
    ALWAYS = "always"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class ToolServer:
    """Of two kinds: a program on this machine that is spoken to over its stdin and stdout (command, args, env), or one
    that is reached by HTTP (url). secrets: names of the variables, or headers, whose values lie in the keyring."""

    name: str
    command: str | None = None
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, hash=False)
    url: str | None = None
    secrets: tuple[str, ...] = ()
    is_on: bool = True

    @property
    def target(self) -> str:
        """What it is, whatever it is called: an allowance for one does not hold for another."""
        return "\0".join((self.url or "", self.command or "", *self.args))


@dataclass(frozen=True, slots=True)
class Grant:
    """What a person has said of one tool. fingerprint: of what it was when they did; None with NEVER, which holds
    whatever it turns into."""

    server: str
    tool: str
    permission: Permission
    fingerprint: str | None = None


def fingerprint(target: str, name: str, description: str, parameters: str) -> str:
    """Of all that a person, and the model, know a tool by."""
    return hashlib.sha256("\0".join((target, name, description, parameters)).encode("utf-8", "replace")).hexdigest()


def checked(server: ToolServer) -> ToolServer:
    """The server. Raises UsageError with what is wrong with it."""
    if not _NAME.fullmatch(server.name) or server.name.casefold() == BUILT_IN.casefold():
        raise UsageError("Give the server a name of 1 to 40 letters, digits, spaces, dots and hyphens.")
    if (server.command is None) == (server.url is None):
        raise UsageError(f"“{server.name}” needs either a command that starts it or the URL where it answers.")
    if server.url is not None:
        _check_url(server.url, bool(server.secrets))
        _check_names(server.secrets, _HEADER, "the name of an HTTP header")
        if server.args or server.env:
            raise UsageError("A server that is reached by a URL takes no arguments and no variables.")
        return server
    if not (server.command or "").strip() or len(server.args) > MAX_ARGUMENTS or len(server.env) > MAX_VARIABLES:
        raise UsageError(f"Give a program, at most {MAX_ARGUMENTS} arguments and {MAX_VARIABLES} variables.")
    for value in (server.command or "", *server.args, *server.env.values()):
        if len(value) > MAX_VALUE or "\0" in value:
            raise UsageError(f"An argument may have at most {MAX_VALUE} characters, and no NUL among them.")
    _check_names((*server.env, *server.secrets), _VARIABLE, "the name of an environment variable")
    return server


def servers_from(value: Any) -> tuple[ToolServer, ...]:
    """Of a document of the settings. Raises ValueError for what is none."""
    if not isinstance(value, list | tuple) or len(value) > MAX_SERVERS:
        raise ValueError(value)
    servers = tuple(_server_from(entry) for entry in value)
    if len({server.name.casefold() for server in servers}) < len(servers):
        raise ValueError("two servers of one name")
    return servers


def grants_from(value: Any) -> tuple[Grant, ...]:
    """The same for what tools may do."""
    if not isinstance(value, list | tuple) or len(value) > MAX_GRANTS:
        raise ValueError(value)
    return tuple(_grant_from(entry) for entry in value)


def with_grant(grants: tuple[Grant, ...], grant: Grant) -> tuple[Grant, ...]:
    """In place of what was said of that tool before. ASK is said by no grant at all."""
    others = tuple(old for old in grants if (old.server, old.tool) != (grant.server, grant.tool))
    kept = (grant,) if grant.permission is not Permission.ASK else ()
    return (*others, *kept)[-MAX_GRANTS:]


def _server_from(entry: Any) -> ToolServer:
    known = {"name", "command", "args", "env", "url", "secrets", "is_on"}
    if not isinstance(entry, Mapping) or not known.issuperset(entry):
        raise ValueError(entry)
    texts = [entry.get(key) for key in ("name", "command", "url") if entry.get(key) is not None]
    lists = {key: entry.get(key, ()) for key in ("args", "secrets")}
    env, is_on = entry.get("env", {}), entry.get("is_on", True)
    if not isinstance(env, Mapping) or type(is_on) is not bool or not isinstance(entry.get("name"), str):
        raise ValueError(entry)
    if not all(isinstance(each, list | tuple) for each in lists.values()):
        raise ValueError(entry)
    for text in (*texts, *lists["args"], *lists["secrets"], *env.keys(), *env.values()):
        if not isinstance(text, str):
            raise ValueError(entry)
        text.encode()  # half a character, which no file could hold
    server = ToolServer(
        entry["name"],
        entry.get("command"),
        tuple(lists["args"]),
        dict(env),
        entry.get("url"),
        tuple(dict.fromkeys(lists["secrets"])),
        is_on,
    )
    try:
        return checked(server)
    except UsageError as error:
        raise ValueError(str(error)) from error


def _grant_from(entry: Any) -> Grant:
    if not isinstance(entry, Mapping) or not {"server", "tool", "permission", "fingerprint"}.issuperset(entry):
        raise ValueError(entry)
    server, tool, mark = entry.get("server"), entry.get("tool"), entry.get("fingerprint")
    if not isinstance(server, str) or not _NAME.fullmatch(server):
        raise ValueError(entry)
    if not isinstance(tool, str) or not 0 < len(tool) <= MAX_TOOL_NAME or not tool.isprintable():
        raise ValueError(entry)
    permission = Permission(str(entry.get("permission")))
    # what is always allowed is allowed as it was then: without a mark that cannot be told
    if mark is not None and (not isinstance(mark, str) or not _FINGERPRINT.fullmatch(mark)):
        raise ValueError(entry)
    if permission is Permission.ALWAYS and mark is None:
        raise ValueError(entry)
    return Grant(server, tool, permission, mark)


def _check_url(url: str, has_secret: bool) -> None:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        is_usable = parts.scheme in ("http", "https") and bool(host) and len(url) <= MAX_VALUE and url.isprintable()
        _ = parts.port
    except ValueError:
        is_usable = False
    if not is_usable or " " in url:
        raise UsageError("That is not the address of a server. It begins with https:// or http://.")
    if parts.username or parts.password:
        raise UsageError("Leave the user and password out of the address, and give them as a secret header.")
    if has_secret and parts.scheme == "http" and not is_loopback(host):
        raise UsageError("A secret is sent to another computer over https:// only, or anybody on the way reads it.")


def _check_names(names: tuple[str, ...], pattern: re.Pattern[str], what: str) -> None:
    for name in names:
        if not pattern.fullmatch(name):
            raise UsageError(f"“{name[:40]}” is not {what}.")
