"""The port while models load: it is open before it answers, answers before they are loaded, and says how it is."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from app.errors import PortInUseError
from app.server import Server
from backends.protocol import EngineOptions
from tests.server.conftest import SECONDS
from tests.server.test_server import OneEngine

HEALTH = "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


def test_who_comes_before_the_port_answers_is_answered_then() -> None:
    server = Server(OneEngine())
    url = urlsplit(server.open("127.0.0.1", 0, None))
    with socket.create_connection((url.hostname, url.port), timeout=SECONDS) as early:
        early.sendall(HEALTH.encode())
        server.answer()
        try:
            assert early.recv(1000).startswith(b"HTTP/1.1 200")
        finally:
            server.stop()


def test_a_port_that_was_opened_only_is_closed_again() -> None:
    server, other = Server(OneEngine()), Server(OneEngine())
    port = urlsplit(server.open("127.0.0.1", 0, None)).port
    assert port
    with pytest.raises(PortInUseError):
        other.open("127.0.0.1", port, None)
    server.stop()
    assert server.address is None
    other.open("127.0.0.1", port, None)
    other.stop()


def test_a_port_that_cannot_answer_is_closed_and_can_be_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from app.server import listener

    def fails(*_: object) -> None:
        raise OSError("no loop")

    server = Server(OneEngine())
    monkeypatch.setattr(listener, "Listener", fails)
    with pytest.raises(OSError, match="no loop"):
        server.start(port=0)
    monkeypatch.undo()
    assert server.address is None
    url = server.start(port=0)
    assert httpx.get(f"{url}/health").status_code == 200
    server.stop()


def test_while_the_first_model_loads_its_health_is_loading(run: Callable[..., Any]) -> None:
    with run(slow="stuck") as port:
        port.watch.until("slow", lambda snapshot: snapshot.fraction > 0)
        answer = port.client.get("/health")
        assert (answer.status_code, answer.json()) == (503, {"status": "loading", "progress": 0.5})
        port.supervisor.load("quick", Path("quick"), EngineOptions(), backend="fake").wait_ready(SECONDS)
        assert port.client.get("/health").json() == {"status": "ok"}, "one can answer"
