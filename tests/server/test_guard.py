"""Who is let in. The rules alone first, then over a real port."""

import asyncio
from typing import Any

import httpx
import pytest
from starlette.responses import Response

from app.access import Access
from app.server.auth import Authority, is_loopback, new_api_key
from app.server.guard import Guard

JSON = {"content-type": "application/json"}


def verdict(
    headers: dict[str, str],
    host: str = "127.0.0.1",
    authority: Authority = Authority(),  # noqa: B008
    access: Access = Access(),  # noqa: B008
    method: str = "GET",
    path: str = "/v1/models",
    scheme: str = "http",
) -> tuple[int, httpx.Headers]:
    """Status and header of the answer: 200 of whoever is let in."""
    sent: list[Any] = []

    async def let_in(scope: Any, receive: Any, send: Any) -> None:
        await Response(status_code=200)(scope, receive, send)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    raw = httpx.Headers(headers, encoding="latin-1").raw
    scope = {"type": "http", "method": method, "path": path, "scheme": scheme, "client": ("192.0.2.7", 1)}
    lowered = [(name.lower(), value) for name, value in raw]
    asyncio.run(Guard(let_in, host, authority, access)({**scope, "headers": lowered}, receive, send))
    return sent[0]["status"], httpx.Headers(sent[0]["headers"])


def refusal(headers: dict[str, str], api_key: str | None = None, **how: Any) -> int | None:
    status, _ = verdict(headers, authority=Authority(given=api_key), **how)
    return None if status == 200 else status


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8642", "localhost:1", "LocalHost", "[::1]", "[::1]:8642"])
def test_names_of_this_machine_are_let_in(host: str) -> None:
    assert refusal({"host": host}) is None


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "evil.example:8642", "127.0.0.1.evil.example", "localhost.", "192.168.1.5", "::1", "a:b"],
)
def test_other_names_are_not(host: str) -> None:
    assert refusal({"host": host}) == 403
    assert refusal({}) == 403


def test_the_bound_host_is_a_name_too() -> None:
    assert refusal({"host": "192.168.1.5:8642"}, host="192.168.1.5") is None
    assert refusal({"host": "[fe80::1]"}, host="fe80::1") is None
    assert refusal({"host": "192.168.1.6:8642"}, host="192.168.1.5") == 403


@pytest.mark.parametrize("bound", ["0.0.0.0", "::"])
def test_a_wildcard_bind_answers_to_addresses_but_to_no_foreign_name(bound: str) -> None:
    assert refusal({"host": "192.168.1.5:8642"}, host=bound) is None
    assert refusal({"host": "[fe80::1]:8642"}, host=bound) is None
    assert refusal({"host": "evil.example"}, host=bound) == 403


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://127.0.0.1:8642", None),
        ("http://127.0.0.1:3000", 403),
        ("http://localhost:8642", 403),
        ("https://127.0.0.1:8642", 403),
        ("https://evil.example", 403),
        ("null", 403),
        ("", 403),
    ],
)
def test_only_the_ports_own_origin_is_let_in(origin: str, status: int | None) -> None:
    headers = {"host": "127.0.0.1:8642", "origin": origin}
    assert refusal(headers) == status
    assert refusal(headers, method="OPTIONS") == status
    assert refusal(headers, path="/health") == status


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Bearer sk-right", None),
        ("bearer  sk-right", None),
        ("", 401),
        ("sk-right", 401),
        ("Bearer", 401),
        ("Bearer sk-righ", 401),
        ("Bearer sk-right2", 401),
        ("Basic sk-right", 401),
        ("Bearer sk-r\xefght", 401),
    ],
)
def test_a_key_must_be_shown_as_a_bearer(header: str, status: int | None) -> None:
    headers = {"host": "localhost", "authorization": header}
    assert refusal(headers, api_key="sk-right") == status
    assert refusal({"host": "localhost"}, api_key="sk-right", path="/health") is None
    assert refusal({"host": "localhost"}, api_key="sk-right", path="/openapi.json") == 401


def test_a_request_without_a_body_needs_no_type_for_it() -> None:
    """Clients of OpenAI's call a response off so."""
    empty = {"host": "localhost", "content-length": "0"}
    assert refusal(empty, method="POST") is None
    assert refusal({**empty, "content-length": "1"}, method="POST") == 415
    assert refusal({**empty, "content-type": "text/plain"}, method="POST") == 415
    assert refusal({"host": "localhost"}, method="POST") == 415, "it may be chunked"


def test_an_empty_x_api_key_does_not_hide_the_bearer() -> None:
    """Programs that speak two dialects send both headers, and one of them empty."""
    right, wrong = {"host": "localhost", "authorization": "Bearer sk-right"}, {"host": "localhost"}
    assert refusal({**right, "x-api-key": " "}, api_key="sk-right") is None
    assert refusal({**wrong, "x-api-key": ""}, api_key="sk-right") == 401
    assert refusal({**right, "x-api-key": "sk-wrong"}, api_key="sk-right") == 401


def test_a_body_that_says_it_is_too_large_is_not_waited_for() -> None:
    headers = {"host": "localhost", "content-type": "application/json"}
    assert refusal({**headers, "content-length": str(8 * 2**20)}, method="POST") is None
    assert refusal({**headers, "content-length": str(8 * 2**20 + 1)}, method="POST") == 413


@pytest.mark.parametrize(
    "headers",
    [
        [("Content-Length", "2"), ("Transfer-Encoding", "chunked")],
        [("Content-Type", "application/json"), ("Content-Type", "text/plain")],
        [("Authorization", "Bearer a"), ("Authorization", "Bearer b")],
        [("Origin", "http://127.0.0.1"), ("Origin", "https://evil.example")],
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(port: Any, headers: list[tuple[str, str]]) -> None:
    response = port.client.get("/v1/models", headers=headers)
    assert response.status_code in (400, 415)
    assert response.headers.get("connection") == "close" or response.status_code == 415


def test_a_long_host_is_not_repeated(port: Any) -> None:
    response = port.client.get("/v1/models", headers={"host": "x" * 10_000})
    assert response.status_code == 403
    assert len(response.json()["error"]["message"]) < 200


def test_keys_are_long_and_new_each_time() -> None:
    keys = {new_api_key() for _ in range(50)}
    assert len(keys) == 50
    assert min(map(len, keys)) >= 32


def test_what_counts_as_this_machine() -> None:
    assert all(map(is_loopback, ["127.0.0.1", "127.1.2.3", "::1", "localhost"]))
    assert not any(map(is_loopback, ["0.0.0.0", "::", "192.168.1.5", "example.org", "", "localhost.evil"]))


def test_a_rebound_name_and_a_foreign_page_get_nothing(port: Any) -> None:
    body = {"messages": [{"role": "user", "content": "Hi"}]}
    for headers in [{"host": "evil.example"}, {"origin": "https://evil.example"}]:
        for response in [
            port.client.get("/v1/models", headers=headers),
            port.client.options("/v1/chat/completions", headers=headers),
            port.client.post("/v1/chat/completions", json=body, headers=headers),
        ]:
            assert response.status_code == 403
            assert response.json()["error"]["code"] in ("bad_host", "bad_origin")
            assert not [name for name in response.headers if name.startswith("access-control")]


def test_no_answer_invites_other_origins(port: Any) -> None:
    own = str(port.client.base_url).rstrip("/")
    response = port.client.get("/v1/models", headers={"origin": own})
    assert response.status_code == 200
    assert not [name for name in response.headers if name.startswith("access-control")]


def test_with_a_key_the_port_says_401_and_how_to_show_it(port: Any) -> None:
    server = type(port.server)(port.server._directory)
    url = server.start(port=0, api_key="sk-ключ")
    try:
        with httpx.Client(base_url=url) as client:
            refused = client.post("/v1/chat/completions", content=b"x" * 2**20, headers=JSON)
            assert refused.status_code == 401
            assert refused.headers["www-authenticate"] == "Bearer"
            assert "Bearer" in refused.json()["error"]["message"]
            wrong = client.get("/v1/models", headers={"authorization": "Bearer sk-wrong"})
            assert wrong.status_code == 401
            assert "The key that was sent is not one of this server's" in wrong.json()["error"]["message"]
            assert client.get("/health").status_code == 200
            key = {b"authorization": "Bearer sk-ключ".encode()}
            assert client.get("/v1/models", headers=key).status_code == 200
    finally:
        server.stop()
