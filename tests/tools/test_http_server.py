"""Tool servers over HTTP: one by the SDK in a process of its own, and a bad one."""

import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from app.errors import ToolError
from app.tools.mcp_server import McpServer
from app.tools.servers import ToolServer
from app.tools.tool import Outcome
from tests.patience import PATIENCE, until
from tests.tools.conftest import SERVERS

Connect = Callable[..., McpServer]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, str(SERVERS / "real.py"), str(port)], stderr=subprocess.DEVNULL)
    try:
        until(lambda: _answers(port), "the server by the SDK")
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def test_a_server_by_the_sdk_is_listed_and_called(connect: Connect, address: str) -> None:
    server = connect(ToolServer("web", url=address))
    assert [tool.name for tool in server.tools().result(PATIENCE).tools] == ["add", "picture"]
    assert server.call("add", {"a": 2, "b": 40}).result(PATIENCE) == Outcome("42")


def test_nobody_there_is_a_sentence(connect: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(ToolError, match="“nobody”"):
        connect(ToolServer("nobody", url=f"http://127.0.0.1:{port}/mcp")).tools().result(PATIENCE)


class Bad(BaseHTTPRequestHandler):
    """Sends JSON without an end, or packed."""

    def do_POST(self) -> None:
        seen.append(self.headers.get("X-Key", ""))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        if self.path == "/packed":
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        try:
            self.wfile.write(b'{"jsonrpc": "2.0", "id": 1, "result": {"a": "')
            while True:
                self.wfile.write(b"x" * 65_536)
        except OSError:
            pass

    def log_message(self, *_: object) -> None:
        pass


seen: list[str] = []


@pytest.fixture
def bad() -> Iterator[str]:
    seen.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Bad)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(("path", "why"), [("/flood", "more than 16 MiB"), ("/packed", "not to pack")])
def test_a_server_that_sends_without_end_is_cut_off(connect: Connect, bad: str, path: str, why: str) -> None:
    server = connect(ToolServer("bad", url=f"{bad}{path}", secrets=("X-Key",)), **{"X-Key": "secret"})
    with pytest.raises(ToolError, match=why):
        server.tools().result(PATIENCE)
    assert set(seen) == {"secret"}
