"""The server's own life: ports, doors, and a prompt end."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from app.errors import EngineError, PortInUseError, UnknownModelError, UsageError
from app.inference.engine_handle import EngineState
from app.inference.users import Hold
from app.server import Server
from app.server.core.directory import ModelFacts
from backends.protocol import Generate, Output, Ready
from tests.patience import PATIENCE, comes_back, until

MEGABYTE = 2**20
LONG = 5 * PATIENCE  # what must not be waited for
JSON = {"content-type": "application/json"}
BODY = {"messages": [{"role": "user", "content": "Hi"}], "stream": True}


READY = Ready("flood", "", 0, 0, 9, 9, 1, 0, 0, "CPU", 1, "f16", "f16", "off", "off", "", 0.0, True)


class Flood:
    """An engine that says a megabyte at once, a hundred times over, and never ends."""

    name = "flood"
    snapshot = SimpleNamespace(state=EngineState.READY)

    def __init__(self) -> None:
        self.was_aborted = threading.Event()
        self.was_paused = threading.Event()

    def wait_ready(self, _: float) -> Ready:
        return READY

    def hold(self, _: str) -> Hold:
        return Hold(lambda: None)

    def submit(self, _: Generate, sink: Any) -> int:
        for _n in range(100):
            sink(Output(1, "x" * MEGABYTE, 1))
        return 1

    def abort(self, _: int) -> None:
        self.was_aborted.set()

    def pause(self, _: int) -> None:
        self.was_paused.set()

    def resume(self, _: int) -> None:
        pass


class Slowpoke:
    """An engine that never comes to an end with its loading."""

    name = "slowpoke"
    snapshot = SimpleNamespace(state=EngineState.LOADING)

    def wait_ready(self, _: float) -> None:
        raise EngineError("still loading")

    def hold(self, _: str) -> Hold:
        return Hold(lambda: None)


class Hesitant(Flood):
    """An engine whose pipe is full: submit waits."""

    def __init__(self) -> None:
        super().__init__()
        self.was_asked = threading.Event()
        self.may_submit = threading.Event()

    def submit(self, _: Generate, __: Any) -> int:
        self.was_asked.set()
        assert self.may_submit.wait(LONG)
        return 7


class OneEngine:
    keeper = None

    def __init__(self, engine: Any = None):
        self._engine = engine
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.was_asked = threading.Event()

    def names(self) -> list[str]:
        return ["flood"] if self._engine else []

    def facts(self) -> dict[str, ModelFacts]:
        return {name: ModelFacts(name, True) for name in self.names()}

    def engine(self, _: str | None) -> Any:
        self.was_asked.set()
        self.may_answer.wait(LONG)
        if not self._engine:
            raise UnknownModelError("No model is loaded.")
        return self._engine

    def engines(self) -> list[Any]:
        return []

    def keep(self, name: str, seconds: float) -> None:
        """They stay."""

    def answering(self, name: str) -> str | None:
        return name if name in self.names() else None

    def header(self, _: str) -> dict[str, Any]:
        return {}

    def loading(self) -> float | None:
        return None


@pytest.fixture
def server() -> Iterator[Server]:
    before = threading.enumerate()
    server = Server(OneEngine())
    yield server
    server.stop()
    assert not [t for t in threading.enumerate() if t.name == "port" and t not in before]


def test_it_listens_when_start_returns_and_not_after_stop(server: Server) -> None:
    assert server.address is None
    url = server.start(port=0)
    assert [server.address] == [url]
    assert httpx.get(f"{url}/health").status_code == 200
    server.stop()
    server.stop()
    assert server.address is None
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/health")


def test_it_can_start_again_on_the_same_port(server: Server) -> None:
    url = server.start(port=0)
    with httpx.Client() as client:  # the server hangs up first, so that its side lingers in TIME_WAIT
        client.get(f"{url}/health")
        server.stop()
        assert server.start(port=int(url.rpartition(":")[2])) == url
        assert client.get(f"{url}/health").status_code == 200


def test_a_port_in_use_is_named_with_the_next_free_one(server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortInUseError) as caught:
            server.start(port=port)
    assert caught.value.port == port
    assert caught.value.next_free is not None
    assert str(port) in str(caught.value)
    assert server.address is None
    assert server.start(port=caught.value.next_free)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.77.1"])
def test_a_door_to_the_network_needs_a_key(server: Server, host: str) -> None:
    for key in (None, ""):
        with pytest.raises(UsageError, match="key"):
            server.start(host=host, port=0, api_key=key)


def test_with_a_key_the_door_opens(server: Server) -> None:
    url = server.start(host="0.0.0.0", port=0, api_key="sk-right")
    port = url.rpartition(":")[2]
    assert httpx.get(f"http://127.0.0.1:{port}/v1/models").status_code == 401
    key = {"authorization": "Bearer sk-right"}
    assert httpx.get(f"http://127.0.0.1:{port}/v1/models", headers=key).status_code == 200


@pytest.mark.parametrize(
    ("host", "reason"), [("no such host", "There is no address “no such host”"), ("192.0.2.77", "192.0.2.77")]
)
def test_an_address_that_is_not_ours_is_a_usage_error(server: Server, host: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        server.start(host=host, port=0, api_key="sk-x")


def test_without_any_model_a_request_is_404(server: Server) -> None:
    url = server.start(port=0)
    assert httpx.get(f"{url}/v1/models").json() == {"object": "list", "data": []}
    assert httpx.post(f"{url}/v1/chat/completions", json=BODY).status_code == 404


def test_stop_ends_an_open_stream_with_a_sentence(run: Any) -> None:
    with run(slow="20ms") as port:
        with port.stream("long 30", draft=False) as stream:
            stream.next_text()
            assert port.server.num_requests == 1
            comes_back(port.server.stop)
            *_, last = stream
        assert "stopped" in last["error"]["message"]
        port.until_idle("slow")


def test_stop_does_not_wait_for_a_reader_who_does_not_read() -> None:
    flood = Flood()
    server = Server(OneEngine(flood))
    url = server.start(port=0)
    with httpx.stream("POST", f"{url}/v1/chat/completions", json=BODY) as response:
        assert response.status_code == 200
        comes_back(server.stop)
    assert flood.was_aborted.wait(PATIENCE)


def test_a_reader_who_does_not_read_holds_up_nobody() -> None:
    server = Server(OneEngine(Flood()))
    url = server.start(port=0)
    with httpx.stream("POST", f"{url}/v1/chat/completions", json=BODY):
        for _ in range(3):
            assert httpx.get(f"{url}/health").status_code == 200
    server.stop()


def test_stop_does_not_wait_for_a_load() -> None:
    directory = OneEngine()
    directory.may_answer.clear()
    server = Server(directory)
    url = server.start(port=0)
    client = threading.Thread(target=post_and_forget, args=(url,))
    client.start()
    assert directory.was_asked.wait(PATIENCE)
    assert httpx.get(f"{url}/health").status_code == 200
    comes_back(server.stop)
    directory.may_answer.set()
    client.join()


def post_and_forget(url: str) -> None:
    with suppress(httpx.HTTPError):
        httpx.post(f"{url}/v1/chat/completions", json=BODY, timeout=LONG)


def test_a_wait_for_a_load_has_an_end() -> None:
    server = Server(OneEngine(Slowpoke()), load_seconds=0.05)
    url = server.start(port=0)
    refused = httpx.post(f"{url}/v1/chat/completions", json={**BODY, "stream": False})
    stream = httpx.post(f"{url}/v1/chat/completions", json=BODY)
    server.stop()
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) > 0
    assert stream.status_code == 200, "its header has gone out by then"
    assert all("still loading" in answer.text for answer in (refused, stream))


def test_who_leaves_while_the_prompt_is_on_its_way_leaves_no_work_behind() -> None:
    hesitant = Hesitant()
    server = Server(OneEngine(hesitant))
    url = server.start(port=0)
    address = urlsplit(url)
    content = json.dumps(BODY).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/json\r\n"
    with socket.create_connection((address.hostname, address.port)) as client:
        client.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
        assert hesitant.was_asked.wait(PATIENCE)
    until(lambda: not server.num_requests)  # the loop tells nobody that it saw the client go
    assert not hesitant.was_aborted.is_set()
    hesitant.may_submit.set()
    assert hesitant.was_aborted.wait(PATIENCE)
    server.stop()


def test_a_bug_in_a_route_is_a_500_and_goes_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(OneEngine):
        def names(self) -> list[str]:
            raise ZeroDivisionError

    server = Server(Broken())
    url = server.start(port=0)
    response = httpx.get(f"{url}/v1/models")
    server.stop()
    assert response.status_code == 500
    assert response.json()["error"]["type"] == "server_error"
    assert "ZeroDivisionError" in caplog.text


def test_nothing_is_printed_or_logged(
    server: Server, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    url = server.start(port=0)
    for path in ("/health", "/nope", "/v1/models"):
        httpx.get(url + path)
    httpx.post(f"{url}/v1/chat/completions", content=b"{", headers=JSON)
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as connection:
        connection.sendall(b"\x16\x03\x01 no HTTP at all\r\n\r\n")
        connection.recv(1000)
    server.stop()
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.name.startswith("uvicorn")]
