"""What the attacks share: a port of its own, with what it lets in, and raw connections to it."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from app.inference.supervisor import Supervisor
from app.server import Server
from app.server.core.calls import Logged
from app.server.core.limits import Limits
from app.server.keys import Keys
from backends.protocol import EngineOptions
from tests.server.conftest import SECONDS, Directory, user

HI = {"messages": user("Hi")}


@contextmanager
def guarded(
    folder: Path, limits: Limits | None = None, ended: list[Logged] | None = None, **models: str
) -> Iterator[tuple[Supervisor, Keys, str]]:
    """A port of these models, with keys; and its URL. ended: gets the requests in the order in which they ended."""
    supervisor = Supervisor(folder / "logs")
    for name, file in models.items():
        supervisor.load(name, Path(file), EngineOptions(parallel=2), backend="fake")
    keys = Keys(folder / "keys.json")
    log = None if ended is None else ended.append
    server = Server(Directory(supervisor), SECONDS, limits=limits, keys=keys, log=log)
    url = server.start(port=0)
    try:
        for engine in supervisor.engines():
            engine.wait_ready(SECONDS)
        yield supervisor, keys, url
    finally:
        server.stop()
        supervisor.close()


def connection_to(url: str) -> socket.socket:
    address = urlsplit(url)
    return socket.create_connection((address.hostname, address.port), timeout=SECONDS)


def request(url: str, method: str, path: str, header: str = "", body: bytes = b"") -> bytes:
    """As it is written, whatever a client library would make of it; the whole answer."""
    host = "" if f"\r\n{header}".lower().count("\r\nhost:") else f"Host: {urlsplit(url).netloc}\r\n"
    head = f"{method} {path} HTTP/1.1\r\n{host}Connection: close\r\nContent-Length: {len(body)}\r\n{header}\r\n"
    parts = []
    with connection_to(url) as connection, suppress(ConnectionResetError, BrokenPipeError):
        connection.sendall(head.encode("latin-1") + body)
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


def status_of(answer: bytes) -> int:
    return int(answer.split()[1]) if answer else 0


def chat(header: str = "Content-Type: application/json\r\n", **fields: Any) -> tuple[str, bytes]:
    return header, json.dumps({**HI, "max_tokens": 4, **fields}).encode()
