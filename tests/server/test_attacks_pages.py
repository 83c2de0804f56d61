"""What a web page in its reader's browser tries against the port of that machine."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from app.access import Access
from app.server import Server
from tests.server.attack import chat, guarded, request, status_of
from tests.server.test_server import OneEngine

CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with guarded(tmp_path_factory.mktemp("port"), quick="quick") as (_, _, url):
        yield url


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example:8642", "localhost.evil.example", "127.0.0.1@evil"]
)
def test_a_name_that_was_rebound_to_this_machine_is_not_answered(url: str, host: str) -> None:
    header, body = chat(f"Host: {host}\r\nOrigin: http://{host}\r\nContent-Type: application/json\r\n")
    answer = request(url, "POST", CHAT, header, body)
    assert status_of(answer) == 403
    assert b"bad_host" in answer


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost:1", "file://", "http://127.0.0.1"]
)
@pytest.mark.parametrize("method", ["POST", "GET", "OPTIONS", "DELETE"])
def test_a_foreign_page_has_no_effect_and_may_read_nothing(url: str, method: str, origin: str) -> None:
    header, body = chat(
        f"Origin: {origin}\r\nAccess-Control-Request-Method: POST\r\nContent-Type: application/json\r\n"
    )
    answer = request(url, method, CHAT, header, body if method == "POST" else b"")
    assert status_of(answer) == (200 if method == "OPTIONS" else 403)  # a question is answered without leave
    assert b"access-control-" not in answer.lower()


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "text/plain;charset=application/json",
        "application/x-www-form-urlencoded",
        "",
        "multipart/form-data",
    ],
)
@pytest.mark.parametrize("path", [CHAT, "/v1/messages", "/api/chat", "/api/generate", "/completion", "/v1/embeddings"])
def test_a_simple_request_that_no_browser_asks_leave_for_is_not_done(url: str, path: str, kind: str) -> None:
    """Such are sent without a preflight; some browsers leave their origin out."""
    header, body = chat(f"Content-Type: {kind}\r\n" if kind else "")
    answer = request(url, "POST", path, header, body)
    assert status_of(answer) == 415
    assert b"application/json" in answer, "it says what to send"


@pytest.mark.parametrize(
    "header",
    [
        "X-A: b\r\nTransfer-Encoding: chunked\r\n",
        "Host: localhost\r\nHost: evil.example\r\n",
        "Origin: http://localhost\r\nOrigin: https://evil.example\r\n",
        "X A: b\r\n",
        "X-A: b\x00c\r\n",
        "Content-Length: 5\r\n",
    ],
)
def test_a_header_that_could_be_read_in_two_ways_is_refused(url: str, header: str) -> None:
    _, body = chat()
    answer = request(url, "POST", CHAT, f"Content-Type: application/json\r\n{header}", body)
    assert status_of(answer) == 400


def test_what_a_request_says_does_not_become_a_header_of_the_answer(url: str) -> None:
    for path in ("/x%0d%0aSet-Cookie:%20a=b", "/v1/models/%0d%0aSet-Cookie:%20a=b"):
        head, _, body = request(url, "GET", path).partition(b"\r\n\r\n")
        assert status_of(head) == 404
        assert b"set-cookie" not in head.lower()
        assert b"\r\nSet-Cookie" not in body


MARK = "mark-7f3a"


@pytest.mark.parametrize("said", [MARK, f"{MARK}\r\nSet-Cookie: a=b"], ids=["a word", "a line"])
def test_no_name_that_a_request_says_stands_in_a_header(port: Any, said: str) -> None:
    """Of a model, a program, a page, a person, a request: in no answer, whether it is served or refused."""
    hi = [{"role": "user", "content": said}]
    headers = {"User-Agent": MARK, "X-Request-ID": MARK, "X-Title": MARK, "Cookie": MARK, "Idempotency-Key": MARK}
    for path, body in (
        ("/v1/chat/completions", {"model": said, "messages": hi}),
        ("/v1/chat/completions", {"model": "quick", "messages": hi, "max_tokens": 1, "user": said, "stop": said}),
        ("/v1/chat/completions", {"model": "quick", "messages": hi, "max_tokens": 1, "stream": True}),
        ("/v1/chat/completions", {"messages": hi, "top_k": said}),
        ("/v1/responses", {"model": said, "input": said, "previous_response_id": said}),
        ("/v1/messages", {"model": said, "messages": hi, "max_tokens": 1}),
        ("/api/chat", {"model": said, "messages": hi}),
        ("/api/show", {"model": said}),
        ("/completion", {"model": said, "prompt": said}),
    ):
        answer = port.client.post(path, json=body, headers=headers)
        assert MARK not in repr(answer.headers.raw), (path, body)
    for method, path in (("GET", "/v1/models/"), ("GET", "/"), ("DELETE", "/v1/responses/"), ("OPTIONS", "/v1/")):
        answer = port.client.request(method, path + quote(said), headers=headers)
        assert MARK not in repr(answer.headers.raw), path
    foreign = port.client.get("/v1/models", headers={"Origin": f"https://{MARK}.example"})
    assert MARK not in repr(foreign.headers.raw)


def test_an_allowed_page_is_no_door_for_another() -> None:
    server = Server(OneEngine())
    url = server.start(port=0, access=Access(origins=("https://chat.example",)))
    try:
        for origin, status in (
            ("https://chat.example", 200),
            ("https://chat.example.evil.example", 403),
            ("https://evil-chat.example", 403),
            ("http://chat.example", 403),
            ("https://chat.example:444", 403),
        ):
            assert status_of(request(url, "GET", "/v1/models", f"Origin: {origin}\r\n")) == status
    finally:
        server.stop()


@pytest.mark.parametrize("target", ["*", "http://127.0.0.1/v1/models", "v1/models", "?x"])
@pytest.mark.parametrize("method", ["OPTIONS", "GET"])
def test_a_target_that_is_no_path_is_refused_as_any_other(url: str, method: str, target: str) -> None:
    answer = request(url, method, target)
    assert status_of(answer) in (204, 404, 405)
    assert b"Internal Server Error" not in answer
