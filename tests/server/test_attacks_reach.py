"""What a program on the network, or one that may ask only for answers, tries to reach beyond them."""

import http.server
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.errors import UsageError
from app.inference.supervisor import Supervisor
from app.paths import Paths
from app.server import Server
from app.server.keys import Keys
from app.server.request_log import RequestLog
from app.services import Services
from backends.protocol import EngineOptions
from tests.library import foreign
from tests.server.attack import HI
from tests.server.conftest import SECONDS, Directory, Port
from tests.server.test_connections import wait_until
from tests.server.test_server import OneEngine


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "localhost.evil", ""])
def test_without_a_key_the_port_does_not_open_to_the_network(host: str, tmp_path: Path) -> None:
    keys = Keys(tmp_path / "keys.json")
    with pytest.raises(UsageError, match="key"):
        Server(OneEngine(), keys=keys).start(host, 0)
    key = keys.add("lan")
    keys.require(False)
    server = Server(OneEngine(), keys=keys)
    try:
        url = server.start("0.0.0.0", 0).replace("0.0.0.0", "127.0.0.1")
        assert httpx.get(f"{url}/v1/models").status_code == 401, "also if programs of this machine needed none"
        assert httpx.get(f"{url}/v1/models", headers={"x-api-key": key}).status_code == 200
        keys.revoke("lan")
        assert httpx.get(f"{url}/v1/models").status_code == 401, "a last key that is gone opens nothing"
    finally:
        server.stop()


def test_no_name_of_a_model_reaches_a_file(tmp_path: Path) -> None:
    """A file that is there, and one that is not, give the same answer."""
    outside = foreign.gguf(tmp_path / "outside" / "model.gguf")
    services = Services(Paths.below(tmp_path / "home"))
    url = services.start_server(port=0)
    names = [
        str(outside),
        f"../../outside/{outside.name}",
        f"..\\..\\outside\\{outside.name}",
        f"file://{outside}",
        f"./{outside.name}",
        "/etc/passwd",
        "/etc/nothing",
        "C:\\Windows\\win.ini",
        "\\\\evil.example\\share\\model.gguf",
        "https://evil.example/model.gguf",
        "model.gguf\x00.txt",
        "%2e%2e/%2e%2e/etc/passwd",
    ]
    try:
        answers = {name: httpx.post(f"{url}/v1/chat/completions", json={**HI, "model": name}) for name in names}
        assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(names, 404)
        there, missing = (answers[name].json()["error"]["message"] for name in ("/etc/passwd", "/etc/nothing"))
        assert there.replace("passwd", "nothing") == missing
        for path in ("/v1/models/..%2f..%2fetc%2fpasswd", "/static/../../etc/passwd", "/v1/models/%2fetc%2fpasswd"):
            assert httpx.get(url + path).status_code == 404
        assert not services.supervisor.engines()
    finally:
        services.close()


class _Bait(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.visits.append(self.path)  # type: ignore[attr-defined]
        self.send_error(404)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def bait() -> Iterator[http.server.HTTPServer]:
    """A server of this machine that nobody may be sent to."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Bait)
    server.visits = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_no_request_has_the_app_fetch_a_url_or_read_a_file(
    port: Port, bait: http.server.HTTPServer, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"a secret")
    for url in (f"http://127.0.0.1:{bait.server_port}/x.png", secret.as_uri(), str(secret), "ftp://127.0.0.1/x"):
        image = {"type": "image_url", "image_url": {"url": url}}
        source = {"type": "image", "source": {"type": "url", "url": url}}
        for path, body in (
            ("/v1/chat/completions", {"messages": [{"role": "user", "content": [image]}]}),
            ("/v1/messages", {"messages": [{"role": "user", "content": [source]}], "max_tokens": 4}),
            ("/api/chat", {"messages": [{"role": "user", "content": "Hi", "images": [url]}], "stream": False}),
            ("/api/generate", {"prompt": "Hi", "images": [url], "stream": False}),
            ("/v1/chat/completions", {**HI, "response_format": _schema({"$ref": url})}),
            ("/v1/chat/completions", {**HI, "max_tokens": 1, "metadata": {"callback_url": url}}),
            ("/completion", {"prompt": "Hi", "json_schema": {"$ref": url}}),
        ):
            answer = port.client.post(path, json={"model": "quick", **body})
            # a schema is the engine's to refuse, and the fake one takes any
            is_left_to_others = {"metadata", "response_format", "json_schema"} & body.keys()
            assert answer.status_code == 400 or is_left_to_others, (path, body, answer.text)
            assert "a secret" not in answer.text
    assert not bait.visits  # type: ignore[attr-defined]


def _schema(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}


PRIVATE = "a-very-private-text"
TOOL = {"name": PRIVATE, "description": PRIVATE, "parameters": {"type": "object", "properties": {PRIVATE: {}}}}


def test_neither_keys_nor_texts_come_into_logs(tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: Any) -> None:
    """Of answers in every dialect, of refusals, of a death, of keys in three places."""
    caplog.set_level(logging.DEBUG)
    supervisor, keys = Supervisor(tmp_path / "logs"), Keys(tmp_path / "keys.json")
    supervisor.load("quick", Path("quick"), EngineOptions(), backend="fake")
    log = RequestLog(tmp_path / "logs")
    server = Server(Directory(supervisor), keys=keys, log=log.note)
    key, given, wrong = keys.add("laptop"), "sk-given-and-secret", "sk-slip-wrong-but-secret"
    try:
        with httpx.Client(base_url=server.start(port=0, api_key=given), timeout=SECONDS) as client:
            bearer, header = {"authorization": f"Bearer {key}"}, {"x-api-key": given}
            said = {"role": "user", "content": PRIVATE}
            tools = [{"type": "function", "function": TOOL}]
            chat = {"messages": [said], "tools": tools, "user": PRIVATE, "metadata": {PRIVATE: PRIVATE}}
            for path, body in (
                ("/v1/chat/completions", chat),
                ("/v1/chat/completions", {**chat, "n": "x"}),
                ("/v1/chat/completions", {**chat, "stop": [PRIVATE], PRIVATE: 1, "stream": True}),
                ("/v1/completions", {"prompt": PRIVATE}),
                ("/v1/responses", {"input": PRIVATE, "instructions": PRIVATE, "store": False}),
                ("/v1/messages", {"messages": [said], "max_tokens": 9, "system": PRIVATE}),
                ("/v1/embeddings", {"input": [PRIVATE]}),
                ("/v1/rerank", {"query": PRIVATE, "documents": [PRIVATE]}),
                ("/api/chat", {"messages": [said], "stream": False}),
                ("/api/generate", {"prompt": PRIVATE, "stream": False}),
                ("/completion", {"prompt": PRIVATE}),
                ("/tokenize", {"content": PRIVATE}),
                ("/v1/completions", {"prompt": f"user: {PRIVATE} !crash\n"}),
            ):
                for headers in (bearer, header):
                    client.post(path, json={"model": "quick", **body}, headers=headers)
            refused = client.post(f"/v1/completions?key={wrong}&api_key={key}", json={}, headers={"x-api-key": wrong})
            assert (refused.status_code, wrong in refused.text) == (401, False)
            assert client.post("/v1/completions", content=f'{{"{PRIVATE}', headers=bearer).status_code == 415
    finally:
        server.stop()
        supervisor.close()
    wait_until(lambda: log.path.exists() and '"status": 401' in log.path.read_text())
    written = [path.read_text("utf-8", "replace") for path in tmp_path.rglob("*") if path.is_file()]
    captured = capfd.readouterr()
    logged = "\n".join(
        record.getMessage() for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))
    )
    everything = "\n".join([*written, logged, captured.out, captured.err])
    for secret in (key, given, wrong, PRIVATE):
        assert secret not in everything
