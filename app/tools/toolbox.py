"""All tools that there are, under names of their own, and what each may do. Knows sources and grants, no chat."""

import re
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import CancelledError, Future, wait
from dataclasses import dataclass
from typing import Any, Protocol

from app.errors import ToolError
from app.tools.calculator import Calculator
from app.tools.clock import Clock
from app.tools.listing import Listed, Listing
from app.tools.mcp_server import McpServer, State
from app.tools.servers import BUILT_IN, Grant, Permission, ToolServer, fingerprint
from app.tools.tool import Outcome, Tool
from backends import messages

MAX_NAME = 64  # characters of a name that a model is told: what OpenAI's functions may have
MAX_OFFERED = 128  # tools of all servers together
LOOK_SECONDS = 0.1
_OTHER = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Offered:
    """A tool under the name by which models call it. source: the server's name, or BUILT_IN. mark: its fingerprint."""

    name: str
    source: str
    tool: Tool
    mark: str

    def told(self) -> messages.Tool:
        """For a model."""
        return messages.Tool(self.name, self.tool.description, self.tool.parameters)


@dataclass(frozen=True, slots=True)
class Offer:
    """What a model may call. problems: sentences on what cannot be offered now."""

    tools: tuple[Offered, ...] = ()
    problems: tuple[str, ...] = ()

    def find(self, name: str) -> Offered | None:
        return next((each for each in self.tools if each.name == name), None)


class Rules(Protocol):
    """What a person has configured, as it is at that moment."""

    @property
    def servers(self) -> tuple[ToolServer, ...]: ...

    @property
    def grants(self) -> tuple[Grant, ...]: ...

    def remember(self, grant: Grant) -> None:
        """For good. Raises SettingsError."""


@dataclass(frozen=True, slots=True)
class _Remote:
    """A server's tool."""

    server: McpServer
    listed: Listed

    @property
    def name(self) -> str:
        return self.listed.name

    @property
    def description(self) -> str:
        return self.listed.description

    @property
    def parameters(self) -> str:
        return self.listed.parameters

    def start(self, arguments: Mapping[str, Any]) -> "Future[Outcome]":
        return self.server.call(self.name, arguments)


class Toolbox:
    """Thread-safe. Servers are started when tools are wanted, and not before."""

    def __init__(
        self,
        rules: Rules,
        values: Callable[[str], Mapping[str, str]],
        own: Iterable[Tool] | None = None,
        connect: Callable[[ToolServer, Callable[[], Mapping[str, str]]], McpServer] = McpServer,
    ):
        """values: of a server's secrets. own: the built-in tools."""
        self._rules = rules
        self._values = values
        self._own: tuple[Tool, ...] = (Calculator(), Clock()) if own is None else tuple(own)
        self._connect = connect
        self._lock = threading.Lock()  # of the connections: several chats may want tools at once
        self._servers: dict[str, McpServer] = {}
        self._is_closed = False

    def offer(self, stopped: threading.Event) -> Offer:
        """What may be called now. Waits for servers that have to start; a failed one is a problem, the others go on.

        stopped: nobody waits any longer; then it is what has come until then.
        """
        servers = {server.name: self._server(server) for server in self._rules.servers if server.is_on}
        asked = {name: server.tools() for name, server in servers.items()}
        while wait(asked.values(), LOOK_SECONDS).not_done and not stopped.is_set():
            pass
        found: list[tuple[str, Tool, str]] = [(BUILT_IN, tool, _mark("", tool)) for tool in self._own]
        problems: list[str] = []
        for name, future in asked.items():
            try:
                listing = future.result(0)
            except (TimeoutError, CancelledError):
                future.cancel()
                continue
            except ToolError as error:
                problems.append(str(error))
                continue
            problems += [f"{name}: {sentence}" for sentence in listing.left_out]
            target = servers[name].server.target
            tools = [_Remote(servers[name], listed) for listed in listing.tools]
            found += [(name, tool, _mark(target, tool)) for tool in tools]
        return self._named(found, problems)

    def look(self, server: ToolServer) -> "Future[Listing]":
        """What a server has; for a person who has just configured it."""
        return self._server(server).tools()

    def built_in(self) -> tuple[Offered, ...]:
        """What comes with the application, whatever it may do."""
        return tuple(Offered(tool.name, BUILT_IN, tool, _mark("", tool)) for tool in self._own)

    def listed(self, server: ToolServer, listing: Listing) -> tuple[Offered, ...]:
        """What a look at a server has found, under its own names and whatever it may do."""
        remote = self._server(server)
        tools = [_Remote(remote, listed) for listed in listing.tools]
        return tuple(Offered(tool.name, server.name, tool, _mark(server.target, tool)) for tool in tools)

    def permission(self, offered: Offered) -> Permission:
        """What happens when it is called now. ASK, too, where it is another tool than the one that was allowed."""
        return _permission(self._rules.grants, offered.source, offered.tool.name, offered.mark)

    def allow(self, offered: Offered, permission: Permission) -> None:
        """From now on, for the tool as it is. Raises SettingsError when it holds for this run alone."""
        mark = None if permission is Permission.NEVER else offered.mark
        self._rules.remember(Grant(offered.source, offered.tool.name, permission, mark))

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            servers, self._servers = self._servers, {}
        _close(servers.values())

    def forget(self) -> None:
        """Servers that are not configured any more are ended; a changed one is at its next use."""
        wanted = {server.name: server for server in self._rules.servers if server.is_on}
        with self._lock:
            gone = [name for name, old in self._servers.items() if wanted.get(name) != old.server]
            servers = [self._servers.pop(name) for name in gone]
        _close(servers)

    def _server(self, wanted: ToolServer) -> McpServer:
        """Connected, or on its way. One that has ended gets another try."""
        with self._lock:
            old = self._servers.get(wanted.name)
            if old and old.server == wanted and old.state is not State.ENDED:
                return old
            # a keyring is asked for what is in it: there are systems without one
            new = self._connect(wanted, lambda: self._values(wanted.name) if wanted.secrets else {})
            if not self._is_closed:
                self._servers[wanted.name] = new
                new.start()
        if old:
            old.ask_to_close()
        return new

    def _named(self, found: list[tuple[str, Tool, str]], problems: list[str]) -> Offer:
        grants = self._rules.grants
        allowed = [
            (source, tool, mark)
            for source, tool, mark in found
            if _permission(grants, source, tool.name, mark) is not Permission.NEVER
        ]
        if len(allowed) > MAX_OFFERED:
            problems.append(f"{len(allowed) - MAX_OFFERED} tools beyond the first {MAX_OFFERED} are not offered.")
        named = _names([(source, tool.name) for source, tool, _ in allowed[:MAX_OFFERED]])
        tools = tuple(Offered(name, *each) for name, each in zip(named, allowed, strict=False))
        return Offer(tools, tuple(problems))


def _permission(grants: Iterable[Grant], source: str, tool: str, mark: str) -> Permission:
    for grant in grants:
        if (grant.server, grant.tool) == (source, tool) and grant.fingerprint in (None, mark):
            return grant.permission
    return Permission.ASK


def _names(tools: list[tuple[str, str]]) -> list[str]:
    """One for each, by which models call it: the tool's own where no other has it. A server's tool cannot take the
    name of a built-in one, nor, by its own name, that of another server's."""
    plain = [_plain(name) for _, name in tools]
    names: list[str] = []
    taken = {name for (source, _), name in zip(tools, plain, strict=True) if source == BUILT_IN}
    for (source, _), name in zip(tools, plain, strict=True):
        if source != BUILT_IN and (name in taken or plain.count(name) > 1):
            name = _plain(f"{source}_{name}")
        names.append(name if source == BUILT_IN else _free(name, taken))
        taken.add(names[-1])
    return names


def _free(name: str, taken: set[str]) -> str:
    number = 2
    free = name
    while free in taken:
        free = f"{name[: MAX_NAME - 4]}_{number}"
        number += 1
    return free


def _plain(name: str) -> str:
    return _OTHER.sub("_", name)[:MAX_NAME]


def _mark(target: str, tool: Tool) -> str:
    return fingerprint(target, tool.name, tool.description, tool.parameters)


def _close(servers: Iterable[McpServer]) -> None:
    """Side by side."""
    servers = list(servers)
    for server in servers:
        server.ask_to_close()
    for server in servers:
        server.close()
