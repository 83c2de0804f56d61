"""A client that leaves takes its work with it; one that reads slowly holds up nobody else."""

import json
import random
import re
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

import pytest

from backends.fake.loader import LOREM
from tests.patience import PATIENCE, until

LONG = "long 30"  # minutes of steps at 20 ms without drafts


def send_request(port: Any, path: str, version: str = "1.1", **body: Any) -> socket.socket:
    """A connection with the request on its way and nothing read."""
    url = urlsplit(port.server.address)
    content = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/{version}\r\nHost: {url.netloc}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    connection = socket.create_connection((url.hostname, url.port), timeout=PATIENCE)
    connection.sendall(head.encode() + content)
    return connection


@pytest.mark.parametrize("stream", [True, False])
def test_leaving_ends_the_work(port: Any, stream: bool) -> None:
    messages = [{"role": "user", "content": LONG}]
    with send_request(port, "/v1/chat/completions", model="slow", messages=messages, stream=stream, draft=False):
        port.watch.until_running("slow", 1)
        assert port.server.num_requests == 1
    port.watch.until_running("slow", 0)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/api/chat"])
def test_a_client_that_has_finished_sending_gets_its_answer(
    port: Any, says: Callable[[str], str], path: str, stream: bool
) -> None:
    body = {"model": "slow", "messages": [{"role": "user", "content": "Hi"}], "stream": stream, "max_tokens": 500}
    with send_request(port, path, **body) as connection:
        port.watch.until_running("slow", 1)
        connection.shutdown(socket.SHUT_WR)
        answer = all_of(connection)
    texts = re.findall(r'"(?:content|text)":"((?:[^"\\]|\\.)*)"', answer.decode())
    assert says("Hi")[-40:] in "".join(texts)


def test_two_questions_in_one_breath_are_both_answered(port: Any) -> None:
    url = urlsplit(port.server.address)
    ask = f"GET /health HTTP/1.1\r\nHost: {url.netloc}\r\n\r\n".encode()
    with socket.create_connection((url.hostname, url.port), timeout=PATIENCE) as connection:
        connection.sendall(2 * ask)
        connection.shutdown(socket.SHUT_WR)
        assert all_of(connection).count(b"HTTP/1.1 200 ") == 2


@pytest.mark.parametrize("stream", [True, False])
def test_leaving_after_the_last_word_ends_the_work(port: Any, stream: bool) -> None:
    messages = [{"role": "user", "content": LONG}]
    body = {"model": "slow", "messages": messages, "stream": stream, "draft": False}
    with send_request(port, "/v1/chat/completions", **body) as connection:
        port.watch.until_running("slow", 1)
        connection.shutdown(socket.SHUT_WR)
    port.watch.until_running("slow", 0)


def test_half_a_body_is_not_waited_for_when_no_more_can_come(port: Any) -> None:
    url = urlsplit(port.server.address)
    head = f"POST /v1/messages HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Type: application/json\r\n"
    with socket.create_connection((url.hostname, url.port), timeout=PATIENCE) as connection:
        connection.sendall(f'{head}Content-Length: 900\r\n\r\n{{"model":'.encode())
        connection.shutdown(socket.SHUT_WR)
        assert b" 200 " not in all_of(connection)


def test_a_client_of_the_old_protocol_hears_no_interim_answer(port: Any) -> None:
    messages = [{"role": "user", "content": LONG}]
    body = {"model": "slow", "messages": messages, "draft": False}
    with send_request(port, "/v1/chat/completions", version="1.0", **body) as connection:
        port.watch.until_running("slow", 1)
        connection.shutdown(socket.SHUT_WR)
        assert all_of(connection) == b""
    port.watch.until_running("slow", 0)


def test_leaving_in_the_middle_of_a_stream_ends_the_work(port: Any) -> None:
    with port.stream(LONG, model="slow", draft=False) as stream:
        stream.next_text()
        port.watch.until_running("slow", 1)
    port.watch.until_running("slow", 0)


def test_leaving_ends_all_prompts_of_a_request(port: Any) -> None:
    with send_request(port, "/v1/completions", model="slow", prompt=[LONG] * 3, draft=False):
        port.watch.until_running("slow", 3)
    port.watch.until_running("slow", 0)


def test_others_are_answered_while_one_stream_is_not_read(port: Any, says: Callable[[str], str]) -> None:
    messages = [{"role": "user", "content": LONG}]
    with send_request(port, "/v1/chat/completions", model="quick", messages=messages, stream=True):
        until(lambda: port.server.num_requests == 1)
        answer = port.chat("Hello", model="quick").json()
    assert answer["choices"][0]["message"]["content"] == says("Hello")


def test_a_stream_that_nobody_reads_is_not_computed_and_goes_on_when_it_is_read(run: Callable[..., Any]) -> None:
    with run(brisk="1ms") as port:
        messages = [{"role": "user", "content": "long 35"}]
        with send_request(port, "/v1/chat/completions", messages=messages, stream=True, draft=False) as connection:
            port.watch.until("brisk", lambda s: s.stats and s.stats.num_tokens and not s.stats.num_running)
            assert port.server.num_requests == 1
            assert port.supervisor.get("brisk").snapshot.stats.num_tokens < len(LOREM) * 35
            parts = []
            while not parts or b"[DONE]" not in parts[-1][-100:]:
                parts.append(connection.recv(65536))
        events = [line[6:] for line in b"".join(parts).split(b"\n") if line.startswith(b"data: {")]
        assert "".join(text_of(json.loads(event)) for event in events) == LOREM * 35
        port.until_idle("brisk")


def test_streams_that_nobody_reads_give_their_places_to_those_who_read(
    run: Callable[..., Any], says: Callable[[str], str]
) -> None:
    with run(quick="quick") as port:
        endless = {"messages": [{"role": "user", "content": "long 300"}], "max_tokens": 2**31 - 1}
        unread = [
            send_request(
                port, "/v1/chat/completions", stream=True, draft=False, n=4, context_overflow="roll", **endless
            )
            for _ in range(3)
        ]
        assert port.chat("Hello").json()["choices"][0]["message"]["content"] == says("Hello")
        port.watch.until_running("quick", 0)
        assert port.server.num_requests == 3
        for connection in unread:
            connection.close()
        port.until_idle("quick")


@pytest.mark.parametrize("seed", [1, 2])
def test_whoever_stays_among_many_who_leave_gets_the_whole_answer(
    port: Any, says: Callable[[str], str], seed: int
) -> None:
    moments = random.Random(seed)
    visits = [(f"Question {number}", moments.choice([0, 1, 5, None])) for number in range(32)]

    def visit(question: str, num_chunks: int | None) -> str | None:
        """None for num_chunks: read to the end; 0: leave with the request sent."""
        if num_chunks == 0:
            messages = [{"role": "user", "content": question}]
            send_request(port, "/v1/chat/completions", model="quick", messages=messages, stream=True).close()
            return None
        with port.stream(question, model="quick") as stream:
            texts = [text_of(chunk) for chunk in islice(stream, num_chunks)]
        return "".join(texts) if num_chunks is None else None

    with ThreadPoolExecutor(8) as pool:
        texts = list(pool.map(lambda visitor: visit(*visitor), visits))
    stayed = [says(question) if num_chunks is None else None for question, num_chunks in visits]
    assert texts == stayed
    assert any(stayed)


def all_of(connection: socket.socket) -> bytes:
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def text_of(chunk: dict[str, Any]) -> str:
    return "".join(choice["delta"].get("content", "") for choice in chunk["choices"])
