"""Whatever goes wrong with a question is one HubError with a sentence that says what to do."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from app.errors import HubError, HubFault
from app.hub.client import HubClient
from app.hub.connection import Connection
from app.hub.reach import is_reachable
from app.hub.repository import SearchQuery
from tests.hub.double import HubDouble, HubRepo
from tests.library.gguf_bytes import model
from tests.patience import PATIENCE

COMMIT = "a" * 40
SHORT = 0.3  # seconds of silence that a test waits for


@pytest.fixture
def client(hub_double: HubDouble) -> Iterator[HubClient]:
    result = HubClient(hub_double.endpoint, token=lambda: None)
    yield result
    result.close()


REFUSALS: list[tuple[dict[str, Any], HubFault, str]] = [
    ({"status": 401, "error_code": "RepoNotFound"}, HubFault.NOT_FOUND, "There is no repository “org/m”, or it is pri"),
    ({"status": 404, "error_code": "RepoNotFound"}, HubFault.NOT_FOUND, "Check the name."),
    ({"status": 404, "error_code": "RevisionNotFound"}, HubFault.NOT_FOUND, "“org/m” has no such revision."),
    ({"status": 401, "error_code": "GatedRepo"}, HubFault.GATED, "Ask on its page, then enter your access token."),
    ({"status": 403, "error_code": "GatedRepo"}, HubFault.GATED, "given only to people who asked for it"),
    ({"status": 403}, HubFault.GATED, "given only to people who asked for it"),
    ({"status": 401}, HubFault.UNAUTHORIZED, "answers only with an access token"),
    ({"status": 429, "headers": {"Retry-After": "55"}}, HubFault.RATE_LIMITED, "Try again in 55 seconds."),
    ({"status": 429, "headers": {"ratelimit": '"api";r=0;t=300'}}, HubFault.RATE_LIMITED, "Try again in 5 minutes."),
    ({"status": 429, "headers": {"Retry-After": "soon"}}, HubFault.RATE_LIMITED, "Try again in a few minutes."),
    ({"status": 500}, HubFault.SERVER, "has trouble of its own (500). Try again in a few minutes."),
    ({"status": 503}, HubFault.SERVER, "has trouble of its own (503)"),
    ({"status": 416}, HubFault.BROKEN, "does not have the part of the file"),
    ({"status": 400}, HubFault.BROKEN, "refused the question (400)"),
    ({"status": 200, "body": b"<html>"}, HubFault.BROKEN, "makes no sense (it is not JSON)"),
    ({"status": 200, "body": b"[]"}, HubFault.BROKEN, "it describes no repository"),
    ({"status": 200, "body": b"{}"}, HubFault.BROKEN, "does not say which commit"),
    ({"status": 200, "body": b"[" * 200_000}, HubFault.BROKEN, "it is not JSON"),
    ({"status": 200, "body": b'{"a": ' + b"9" * 5000 + b"}"}, HubFault.BROKEN, "it is not JSON"),
    ({"status": 200, "headers": {"Content-Encoding": "gzip"}, "body": b"x"}, HubFault.BROKEN, "it is compressed"),
    ({"huge_json": 17 << 20}, HubFault.BROKEN, "it is larger than 16 MB"),
    ({"redirect_to": ""}, HubFault.BROKEN, "it sends in circles"),
    ({"redirect_to": "file:///etc/passwd"}, HubFault.BROKEN, "is not the address of a Hub"),
]


@pytest.mark.parametrize(("fault", "kind", "words"), REFUSALS, ids=lambda value: str(value)[:40])
def test_a_refusal_is_told(
    hub_double: HubDouble, client: HubClient, fault: dict[str, Any], kind: HubFault, words: str
) -> None:
    hub_double.fail(on="/api/models/*", **fault)
    with pytest.raises(HubError) as raised:
        client.repository("org/m")
    assert raised.value.kind is kind
    assert words in str(raised.value)
    assert str(raised.value).endswith(".")


def test_links_and_waiting_times_come_with_the_sentence(hub_double: HubDouble, client: HubClient) -> None:
    hub_double.fail(on="/api/models/org/gated", status=403, error_code="GatedRepo")
    hub_double.fail(on="/api/models/org/shut", status=401)
    hub_double.fail(on="/api/models/org/busy", status=429, headers={"Retry-After": "55"})
    faults = {}
    for name in ("gated", "shut", "busy"):
        with pytest.raises(HubError) as raised:
            client.repository(f"org/{name}")
        faults[name] = raised.value
    assert faults["gated"].link == f"{hub_double.endpoint}/org/gated"
    assert faults["shut"].link == f"{hub_double.endpoint}/settings/tokens"
    assert faults["busy"].retry_after == 55


def test_a_token_that_is_not_good_enough_is_named(hub_double: HubDouble) -> None:
    hub_double.tokens["hf_known_one"] = "alice"
    hub_double.add(HubRepo("org/m", {"m-Q8_0.gguf": model()}, gated="manual"))
    for token, kind, words in (
        ("hf_known_one", HubFault.GATED, "Your token does not open “org/m” yet."),
        ("hf_expired_one", HubFault.UNAUTHORIZED, "does not accept your access token. It may have expired"),
    ):
        client = HubClient(hub_double.endpoint, token=lambda token=token: token)  # type: ignore[misc]
        with pytest.raises(HubError) as raised:
            _open_and_peek(client)
        client.close()
        assert raised.value.kind is kind
        assert words in str(raised.value)


def _open_and_peek(client: HubClient) -> None:
    found = client.repository("org/m")
    client.peek_header("org/m", found.commit, found.variants[0].files[0])


def test_a_machine_without_a_network_is_told_at_once() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound, but it does not listen
        client = HubClient(f"http://127.0.0.1:{nobody.getsockname()[1]}", token=_never)
        with pytest.raises(HubError, match=r"127\.0\.0\.1 cannot be reached\. Check this machine's network") as raised:
            client.search(SearchQuery("m"))
        client.close()
    assert raised.value.kind is HubFault.OFFLINE


def _never() -> str:
    raise AssertionError("the keyring is not asked before the Hub is known to be there")


def test_a_name_that_nobody_knows_cannot_be_reached() -> None:
    assert not is_reachable("no-such-host.invalid", 443)


def test_a_host_that_swallows_everything_is_given_up() -> None:
    """A full backlog drops the handshake, as a firewall does."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        pending = [_begun(port) for _ in range(4)]
        assert not is_reachable("127.0.0.1", port, seconds=0.2)
        for sock in pending:
            sock.close()


def _begun(port: int) -> socket.socket:
    sock = socket.socket()
    sock.setblocking(False)
    sock.connect_ex(("127.0.0.1", port))
    return sock


def test_offline_by_wish_asks_nobody(hub_double: HubDouble, client: HubClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(HubError, match="HF_HUB_OFFLINE is set"):
        client.search(SearchQuery("m"))
    assert not hub_double.requests


def test_a_server_that_falls_silent_is_told(hub_double: HubDouble, client: HubClient) -> None:
    hub_double.add(HubRepo("org/m", {"m-Q8_0.gguf": model()}))
    found = client.repository("org/m")
    hub_double.fail(on="/cdn/*", stall_after=10)
    impatient = HubClient(hub_double.endpoint, token=lambda: None, timeout=SHORT)
    with pytest.raises(HubError, match="took longer than") as raised:
        impatient.peek_header("org/m", found.commit, found.variants[0].files[0])
    impatient.close()
    assert raised.value.kind is HubFault.OFFLINE


def test_an_answer_that_breaks_off_is_told(hub_double: HubDouble, client: HubClient) -> None:
    hub_double.add(HubRepo("org/m", {"m-Q8_0.gguf": model()}))
    found = client.repository("org/m")
    hub_double.fail(on="/cdn/*", cut_after=10)
    with pytest.raises(HubError, match="broke off in the middle of an answer"):
        client.peek_header("org/m", found.commit, found.variants[0].files[0])


@pytest.mark.parametrize(("status", "kind"), [(403, HubFault.BROKEN), (404, HubFault.BROKEN), (503, HubFault.SERVER)])
def test_a_refusal_of_the_store_is_no_gate(
    hub_double: HubDouble, client: HubClient, status: int, kind: HubFault
) -> None:
    hub_double.add(HubRepo("org/m", {"m-Q8_0.gguf": model()}))
    hub_double.fail(on="/cdn/*", status=status)
    with pytest.raises(HubError, match=rf"did not hand it out \({status}\)") as raised:
        _open_and_peek(client)
    assert raised.value.kind is kind


def test_closing_wakes_who_waits_for_a_silent_server(hub_double: HubDouble) -> None:
    hub_double.add(HubRepo("org/m", {"m-Q8_0.gguf": model()}))
    client = HubClient(hub_double.endpoint, token=lambda: None, timeout=60)
    found = client.repository("org/m")
    hub_double.fail(on="/cdn/*", stall_after=10)
    ended: list[Exception] = []

    def wait() -> None:
        try:
            client.peek_header("org/m", found.commit, found.variants[0].files[0])
        except HubError as error:
            ended.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    while not any(seen.server == "cdn" and seen.bytes_sent for seen in hub_double.requests):
        thread.join(0.01)
    client.close()
    thread.join(PATIENCE)
    assert len(ended) == 1


HOSTILE: list[Any] = [
    None,
    True,
    -1,
    1e400,
    "",
    "x" * 100_000,
    "\ud800",
    "a\0b",
    [],
    {},
    [[]],
    [None],
    {"a": {}},
    2**80,
]


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: repr(value)[:20])
def test_no_value_in_an_answer_brings_anything_but_a_sentence(
    hub_double: HubDouble, client: HubClient, value: Any
) -> None:
    sound = {
        "id": "org/m",
        "sha": COMMIT,
        "tags": ["gguf"],
        "downloads": 1,
        "likes": 1,
        "lastModified": "2026-02-03T04:05:06.000Z",
        "gated": False,
        "cardData": {"license": "mit"},
        "gguf": {"total": 1, "architecture": "llama", "context_length": 1},
        "config": {"model_type": "llama"},
        "safetensors": {"total": 1},
        "siblings": [{"rfilename": "m.gguf", "size": 1, "blobId": "b" * 40, "lfs": {"size": 1, "sha256": "c" * 64}}],
    }
    for key in sound:
        _try(hub_double, client, {**sound, key: value})
    for key in ("rfilename", "size", "blobId", "lfs"):
        _try(hub_double, client, {**sound, "siblings": [{**sound["siblings"][0], key: value}]})  # type: ignore[index]
    for key in ("gguf", "cardData"):
        _try(hub_double, client, {**sound, key: dict.fromkeys(sound[key], value)})  # type: ignore[call-overload]


def _try(double: HubDouble, client: HubClient, item: dict[str, Any]) -> None:
    double.faults.clear()
    double.fail(on="/api/models/*", status=200, body=json.dumps(item).encode())
    double.fail(on="/api/models", status=200, body=json.dumps([item]).encode())
    for question in (lambda: client.repository("org/m"), lambda: client.search(SearchQuery("m"))):
        with suppress(HubError):
            question()


def test_a_repository_with_a_hostile_name_in_it_is_refused(hub_double: HubDouble, client: HubClient) -> None:
    for name in ("..\\..\\evil.gguf", "../evil.gguf", "a/..%2f..%2fevil.gguf", "C:evil.gguf"):
        hub_double.faults.clear()
        item = {"sha": COMMIT, "siblings": [{"rfilename": "m.gguf", "size": 1}, {"rfilename": name, "size": 1}]}
        hub_double.fail(on="/api/models/*", status=200, body=json.dumps(item).encode())
        with pytest.raises(HubError, match="would be written outside its folder"):
            client.repository("org/m")


def test_a_socket_that_connects_while_its_client_closes_wakes_its_thread() -> None:
    connection = Connection("http://127.0.0.1", lambda: None, 60)
    connection.close()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        stream = SimpleNamespace(get_extra_info=lambda _: ours)
        connection._keep_socket("connection.connect_tcp.complete", {"return_value": stream})
        theirs.settimeout(5)
        assert theirs.recv(1) == b""
