"""Connections that keep the port waiting come to an end, and there are never too many for whoever has a question."""

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from app.server import Server
from app.server.core.limits import Limits, limits_of_this_process
from backends.protocol import Generate
from tests.patience import SteadyClock
from tests.patience import until as wait_until
from tests.server.conftest import SECONDS
from tests.server.test_disconnect import send_request
from tests.server.test_server import BODY, JSON, Flood, OneEngine

QUICK = Limits(header=0.3, body=0.4, body_rate=1 << 20, unread=1.5, idle=1, leftover=0.3)
HEAD = "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


class Mute(Flood):
    """An engine that says nothing."""

    def submit(self, _: Generate, __: Any) -> int:
        return 1


@contextmanager
def listening(limits: Limits, engine: Any = None) -> Iterator[tuple[Server, str]]:
    server = Server(OneEngine(engine), limits=limits)
    url = server.start(port=0)
    server._listener.loop.time = SteadyClock()  # type: ignore[union-attr,method-assign,assignment]
    try:
        yield server, url
    finally:
        server.stop()


def connect(url: str, sent: str = "") -> socket.socket:
    address = urlsplit(url)
    connection = socket.create_connection((address.hostname, address.port), timeout=SECONDS)
    connection.sendall(sent.encode())
    return connection


def rest_of(connection: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    parts = []
    with suppress(ConnectionResetError):
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


def status_of(answer: bytes) -> int:
    return int(answer.split()[1]) if answer else 0


@pytest.mark.parametrize("sent", ["", "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ", "GET "])
def test_a_connection_without_a_request_is_closed(sent: str) -> None:
    with listening(QUICK) as (_, url), connect(url, sent) as connection:
        answer = rest_of(connection)
    assert status_of(answer) == 408
    assert "in time" in json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["message"]


def test_a_header_that_comes_byte_by_byte_has_a_deadline_all_the_same() -> None:
    with listening(QUICK) as (_, url), connect(url, "GET /health HTTP/1.1\r\n") as connection:
        with suppress(OSError):
            for _ in range(1000):
                connection.sendall(b"X")
                time.sleep(0.02)
        assert status_of(rest_of(connection)) in (0, 408)


def test_the_second_request_of_a_connection_has_the_same_deadline() -> None:
    whole = "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with listening(QUICK) as (_, url), connect(url, whole) as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        connection.sendall(b"GET /hea")
        assert status_of(rest_of(connection)) == 408


def test_a_body_that_does_not_come_is_408() -> None:
    with listening(QUICK) as (_, url), connect(url, HEAD + 'Content-Length: 100\r\n\r\n{"model"') as connection:
        answer = rest_of(connection)
    assert status_of(answer) == 408
    assert b"body" in answer


def test_a_body_that_comes_slowly_but_comes_is_waited_for() -> None:
    limits = Limits(body=0.5, body_rate=1 << 10)
    body = json.dumps({**BODY, "padding": "x" * 12_000}).encode()
    with listening(limits) as (_, url), connect(url, f"{HEAD}Content-Length: {len(body)}\r\n\r\n") as connection:
        for begin in range(0, len(body), 1000):
            connection.sendall(body[begin : begin + 1000])
            time.sleep(0.06)  # 0.8 s altogether
        assert status_of(connection.recv(1000)) == 404


def test_a_body_that_goes_on_after_its_answer_is_cut_off() -> None:
    with listening(QUICK) as (_, url):
        head = "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        with connect(url, head) as connection, pytest.raises(OSError):  # noqa: PT011, a reset or a broken pipe
            send_chunks(connection)


def send_chunks(connection: socket.socket) -> None:
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        connection.sendall(b"4\r\nabcd\r\n")
        time.sleep(0.01)


def test_an_answer_that_nobody_takes_is_called_off() -> None:
    flood = Flood()
    with listening(QUICK, flood) as (server, url), send_request(with_address(url), "/v1/chat/completions", **BODY):
        assert flood.was_paused.wait(SECONDS)
        assert flood.was_aborted.wait(SECONDS)
        wait_until(lambda: server.num_requests == 0)


def test_a_reader_who_is_slow_keeps_its_stream() -> None:
    with listening(QUICK, Flood()) as (server, url):
        clock = server._listener.loop.time  # type: ignore[union-attr]
        with send_request(with_address(url), "/v1/chat/completions", **BODY) as connection:
            until = clock() + 2 * QUICK.unread
            while clock() < until:
                assert connection.recv(300_000)
                time.sleep(0.1)
            assert server.num_requests == 1
        wait_until(lambda: server.num_requests == 0)


def test_among_too_many_silent_ones_a_question_is_answered_at_once() -> None:
    with listening(Limits(connections=20, per_address=10)) as (server, url):
        silent = [connect(url) for _ in range(100)]
        assert httpx.get(f"{url}/health").status_code == 200
        assert len(server._listener._uvicorn.server_state.connections) <= 11  # type: ignore[union-attr]
        for connection in silent:
            connection.close()


def test_when_all_are_busy_one_more_is_told_so() -> None:
    with listening(Limits(connections=8, per_address=4), Mute()) as (server, url):
        busy = [send_request(with_address(url), "/v1/chat/completions", **BODY) for _ in range(4)]
        wait_until(lambda: server.num_requests == 4)
        with connect(url, "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n") as connection:
            answer = rest_of(connection)
        for each in busy:
            each.close()
        wait_until(lambda: server.num_requests == 0)
    assert status_of(answer) == 503
    assert b"too many connections" in answer


def test_without_files_left_the_port_waits_and_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    """EMFILE: with a limit that leaves room for a few connections only."""
    if sys.platform != "linux":  # elsewhere there is no such limit, or no list of what is open
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with listening(Limits(connections=500, per_address=500)) as (_, url):
        open_now = max(map(int, os.listdir("/proc/self/fd")))
        before = time.process_time()
        resource.setrlimit(resource.RLIMIT_NOFILE, (open_now + 20, hard))
        clients: list[socket.socket] = []
        try:
            with suppress(OSError):
                for _ in range(100):
                    clients.append(connect(url))
            for client in clients[len(clients) // 2 :]:
                client.close()
            wait_until(lambda: _is_healthy(url))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for client in clients:
                client.close()
        assert time.process_time() - before < 3, "accept spins"
        assert _is_healthy(url)
    assert len([record for record in caplog.records if "file" in record.message]) <= 1


def test_the_bound_lies_well_below_the_files_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.server.core.limits._max_files", lambda: 1024)
    limits = limits_of_this_process()
    assert (limits.connections, limits.per_address) == (256, 128)


def test_a_thousand_silent_connections_hold_up_neither_port_nor_engine(run: Callable[..., Any]) -> None:
    with run(quick="quick") as port:
        silent = [connect(port.server.address) for _ in range(1100)]
        assert port.client.get("/health").status_code == 200
        assert port.chat("Hi").status_code == 200
        for connection in silent:
            connection.close()


def test_bodies_have_a_bound_together() -> None:
    with listening(Limits(bodies=1000), Flood()) as (_, url):
        content = json.dumps({**BODY, "padding": "x" * 600, "stream": True}).encode()
        with send_request(with_address(url), "/v1/chat/completions", **json.loads(content)) as first:
            assert status_of(first.recv(1000)) == 200
            refused = httpx.post(f"{url}/v1/chat/completions", content=content, headers=JSON)
            assert refused.status_code == 503
            assert "large requests" in refused.json()["error"]["message"]
        wait_until(lambda: _status(url, content) == 200)


@pytest.mark.parametrize("how", ["loop", "socket", "tick"])
def test_its_own_death_is_noticed_and_it_starts_again(
    how: str, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with run(slow="20ms") as port:
        server, told, was_told = port.server, [], threading.Event()
        server.subscribe(lambda trouble: (told.append(trouble), was_told.set()))
        url, listener = server.address, server._listener
        with suppress(httpx.HTTPError), port.stream("long 30", draft=False) as stream:
            stream.next_text()
            _kill(how, listener, monkeypatch)
            assert was_told.wait(SECONDS)
            monkeypatch.undo()
        assert server.address is None
        assert told == [server.trouble]
        assert url in told[0]
        port.until_idle("slow")
        assert server.start(port=int(url.rpartition(":")[2])) == url
        assert server.trouble is None
        assert httpx.get(f"{url}/health").status_code == 200
    assert "the port has failed" in caplog.text
    caplog.clear()


def _kill(how: str, listener: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if how == "loop":
        listener.loop.call_soon_threadsafe(listener.loop.stop)
    elif how == "socket":
        listener._uvicorn._listener.close()
    else:

        async def fail(*_: object) -> bool:
            raise MemoryError("no memory is left")

        monkeypatch.setattr(listener._uvicorn, "on_tick", fail)


def test_stop_beside_its_own_death_returns(run: Callable[..., Any]) -> None:
    for _ in range(5):
        with run(quick="quick") as port:
            listener = port.server._listener
            listener.loop.call_soon_threadsafe(listener.loop.stop)
            port.server.stop()
            assert port.server.address is None


def with_address(url: str) -> Any:
    """As send_request takes it."""
    return type("Port", (), {"server": type("Server", (), {"address": url})})


def _is_healthy(url: str) -> bool:
    with suppress(httpx.HTTPError, OSError):
        return httpx.get(f"{url}/health", timeout=2).status_code == 200
    return False


def _status(url: str, content: bytes) -> int:
    with httpx.stream("POST", f"{url}/v1/chat/completions", content=content, headers=JSON) as response:
        return response.status_code
