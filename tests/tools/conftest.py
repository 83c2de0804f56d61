"""Tool servers as strangers write them, each a process of its own, and a check that none is left behind."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.tools.mcp_server import McpServer
from app.tools.servers import Grant, ToolServer, with_grant
from tests.patience import PATIENCE

SERVERS = Path(__file__).parent / "servers"


def odd(what: str) -> ToolServer:
    """One that is written by hand; -S -E, as it needs nothing but Python."""
    return ToolServer(what, sys.executable, ("-S", "-E", str(SERVERS / "odd.py"), what))


class Rules:
    """What a person has configured, in memory."""

    def __init__(self, *servers: ToolServer):
        self.servers: tuple[ToolServer, ...] = servers
        self.grants: tuple[Grant, ...] = ()

    def remember(self, grant: Grant) -> None:
        self.grants = with_grant(self.grants, grant)


@pytest.fixture
def connect() -> Iterator[Callable[..., McpServer]]:
    made: list[McpServer] = []

    def connect(server: ToolServer | str, start_seconds: float = PATIENCE, **secrets: str) -> McpServer:
        wanted = odd(server) if isinstance(server, str) else server
        made.append(McpServer(wanted, lambda: secrets, start_seconds))
        made[-1].start()
        return made[-1]

    yield connect
    for server in made:
        server.close()
