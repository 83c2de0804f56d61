"""What takes much, or takes long, so that nothing is left for others."""

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.inference.supervisor import Supervisor
from app.server.core import accounts
from app.server.core.calls import Logged
from app.server.core.limits import Limits
from backends.protocol import Generate, Message, Output, Priority
from tests.server.attack import HI, chat, connection_to, guarded, request, status_of
from tests.server.conftest import SECONDS, user
from tests.server.test_connections import Mute, listening, wait_until

CHAT = "/v1/chat/completions"
ENDLESS = {
    "messages": user("long 300"),
    "n": 8,
    "stream": True,
    "draft": False,
    "max_tokens": 2**31 - 1,
    "context_overflow": "roll",
}
HEAD = "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


@contextmanager
def greed(url: str, headers: Mapping[str, str] = {}) -> Iterator[None]:
    """Four who want eight endless answers each, and read them as they come: what nobody reads is not computed."""
    is_over = threading.Event()

    def read_on() -> None:
        with httpx.stream("POST", url + CHAT, json=ENDLESS, headers=headers, timeout=SECONDS) as stream:
            for _ in stream.iter_raw():
                if is_over.is_set():
                    return

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read_on) for _ in range(4)]
        try:
            yield
        finally:
            is_over.set()
        for reader in readers:
            reader.result()


def until_waiting(supervisor: Supervisor, num_waiting: int) -> None:
    engine = supervisor.get("slow")
    wait_until(lambda: bool(engine.snapshot.stats and engine.snapshot.stats.num_waiting >= num_waiting))


def test_endless_answers_of_one_key_do_not_starve_another(tmp_path: Path) -> None:
    with guarded(tmp_path, slow="2ms") as (supervisor, keys, url):
        greedy, modest = bearer(keys.add("greedy")), bearer(keys.add("modest"))
        with greed(url, greedy):
            until_waiting(supervisor, 10)  # for 2 places
            answer = httpx.post(url + CHAT, json={**HI, "max_tokens": 8}, headers=modest, timeout=SECONDS)
            assert answer.json()["usage"]["completion_tokens"] == 8


def test_who_waits_is_taken_in_turns_between_keys(tmp_path: Path) -> None:
    """One that came last goes before all but the first of one that has sent twenty."""
    body = {**HI, "max_tokens": 40, "draft": False}
    ended: list[Logged] = []
    with guarded(tmp_path, ended=ended, slow="5ms") as (supervisor, keys, url):
        many, few = (httpx.Client(headers=bearer(keys.add(name)), timeout=SECONDS) for name in ("many", "few"))

        def ask(client: httpx.Client) -> None:
            assert client.post(url + CHAT, json=body).is_success

        with many, few, ThreadPoolExecutor(21) as pool:
            few.get(url + "/health")  # it is connected before it matters
            asked = [pool.submit(ask, many) for _ in range(20)]
            until_waiting(supervisor, 10)
            asked.append(pool.submit(ask, few))
            for answer in asked:
                answer.result()
        assert [each.key for each in ended if each.path == CHAT].index("few") < 12


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        (CHAT, lambda body: body["error"]["code"] == "rate_limit_exceeded"),
        ("/v1/messages", lambda body: body["error"]["type"] == "rate_limit_error"),
        ("/api/chat", lambda body: isinstance(body["error"], str)),
    ],
)
def test_more_requests_than_one_client_may_have_are_429(
    monkeypatch: pytest.MonkeyPatch, path: str, shape: Callable[[Any], bool]
) -> None:
    monkeypatch.setattr(accounts, "MAX_REQUESTS", 4)
    with listening(Limits(), Mute()) as (server, url), ExitStack() as stack:
        _, body = chat()
        for _ in range(4):
            head = f"{HEAD}Content-Length: {len(body)}\r\n\r\n".encode()
            stack.enter_context(connection_to(url)).sendall(head + body)
        wait_until(lambda: server.num_requests == 4)
        refused = httpx.post(url + path, json={**HI, "model": "flood", "max_tokens": 4})
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) > 0
        assert shape(refused.json())
        stack.close()
        wait_until(lambda: server.num_requests == 0)


def test_bounds_hold_for_answers_and_for_all_clients_together(monkeypatch: pytest.MonkeyPatch) -> None:
    from app.server.auth import Pass
    from app.server.core.accounts import Accounts
    from app.server.core.client import Client
    from app.server.core.refusal import Refusal
    from app.server.scope import Scope

    monkeypatch.setattr(accounts, "MAX_ALL", 3)
    book = Accounts()
    a, b, c = (Pass("the name of all three", Scope.USE, id_) for id_ in "abc")
    huge = book.book(Client("1", a), 5000)  # one alone may want that much
    with pytest.raises(Refusal, match="5000 answers") as answers:
        book.book(Client("2", a), 1)
    other, third = book.book(Client("1", b), 1), book.book(Client("1"), 1)
    with pytest.raises(Refusal, match="3 requests") as everyone:
        book.book(Client("1", c), 1)
    assert (answers.value.status, everyone.value.status) == (429, 503)
    assert len({huge.turn, other.turn, third.turn}) == 3
    for booking in (huge, other, third):
        book.close(booking)
    assert book.book(Client("1", a), 1).turn == book.book(Client("2", a), 1).turn


def test_connections_with_half_a_body_take_nobodys_place() -> None:
    with listening(Limits(connections=20, per_address=10)) as (server, url), ExitStack() as stack:
        for _ in range(10):
            half = stack.enter_context(connection_to(url))
            half.sendall(f'{HEAD}Content-Length: 900\r\n\r\n{{"model": '.encode())
        wait_until(lambda: _num_halves(server) == 10)
        assert httpx.post(url + CHAT, json=HI, timeout=SECONDS).status_code == 404, "it was read"


def _num_halves(server: Any) -> int:
    connections = server._listener._uvicorn._connections()
    return sum(each.is_unfinished() and not each.is_silent() for each in connections)


def test_what_is_too_large_is_not_read_to_its_end(tmp_path: Path) -> None:
    with guarded(tmp_path, quick="quick") as (_, _, url):
        header, body = chat()
        for more in ("".join(f"X-{n}: y\r\n" for n in range(101)), f"X-A: {'y' * 40_000}\r\n"):
            assert status_of(request(url, "POST", CHAT, header + more, body)) in (400, 431)
        with connection_to(url) as connection:
            connection.sendall(f"{HEAD}Content-Length: {2**40}\r\n\r\n".encode())
            assert status_of(connection.recv(1000)) == 413
        with connection_to(url) as connection:
            connection.sendall(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode())
            for _ in range(20):
                connection.sendall(b"100000\r\n" + b" " * 2**20 + b"\r\n")
            connection.sendall(b"0\r\n\r\n")
            assert status_of(connection.recv(1000)) == 413
        assert httpx.get(f"{url}/health").status_code == 200


def test_the_window_goes_first_whatever_the_port_is_asked(tmp_path: Path) -> None:
    ended: list[Priority] = []
    with guarded(tmp_path, slow="2ms") as (supervisor, _, url), greed(url):
        for num_waiting, priority in ((30, Priority.BATCH), (31, Priority.WINDOW)):
            until_waiting(supervisor, num_waiting)  # all that were asked before it stand in the line

            def note(output: Output, priority: Priority = priority) -> None:
                if output.finish:
                    ended.append(priority)

            wanted = Generate((Message("user", "Hi"),), priority=priority, max_tokens=4)
            supervisor.get("slow").submit(wanted, note)
        wait_until(lambda: bool(ended))
        assert ended[0] is Priority.WINDOW
