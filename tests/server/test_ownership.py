"""What one key may see, stop and delete: its own. Who needs none is the person at this machine, and may do all."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.inference.supervisor import Supervisor
from app.server import Server
from app.server.auth import Authority
from app.server.core.client import Client
from app.server.keys import Keys
from app.server.native.shapes import Models
from backends.protocol import EngineOptions
from tests.server.conftest import SECONDS, Directory, user
from tests.server.test_connections import wait_until

ENDLESS = {"messages": user("long 300"), "stream": True, "draft": False, "ignore_eos": True, "max_tokens": 2**31 - 1}


class Hands:
    """What the native API needs of the application, of which nothing is asked here."""

    def models(self) -> Models:
        return Models([], [], [], {}, {})

    def engines(self) -> list[Any]:
        return []

    def jobs(self) -> list[Any]:
        return []

    def subscribe(self, _: Any) -> Any:
        return lambda: None


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys(tmp_path_factory.mktemp("config") / "keys.json")


@pytest.fixture(scope="module")
def url(keys: Keys, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    supervisor = Supervisor(tmp_path_factory.mktemp("logs"))
    supervisor.load("slow", Path("5ms"), EngineOptions(parallel=4), backend="fake").wait_ready(SECONDS)
    server = Server(Directory(supervisor), SECONDS, keys=keys, control=lambda: Hands())  # type: ignore[arg-type, return-value]
    try:
        yield server.start(port=0)
    finally:
        server.stop()
        supervisor.close()


@pytest.fixture
def clients(keys: Keys, url: str) -> Iterator[tuple[httpx.Client, httpx.Client, httpx.Client]]:
    """Of two keys, and of who needs none."""
    headers = [{"authorization": f"Bearer {keys.add(name)}"} for name in ("one", "two")]
    keys.require(False)
    one, two, owner = (httpx.Client(base_url=url, headers=each, timeout=SECONDS) for each in (*headers, {}))
    with one, two, owner:
        yield one, two, owner
    for key in keys.all():
        keys.revoke(key.name)


@contextmanager
def answering(client: httpx.Client) -> Iterator[Iterator[str]]:
    """The lines of a stream that has begun and has no end."""
    with client.stream("POST", "/v1/chat/completions", json=ENDLESS) as response:
        lines = response.iter_lines()
        goes_on(lines)
        yield lines


def goes_on(lines: Iterator[str]) -> None:
    assert any('"content":"' in line for line in lines)


def told(client: httpx.Client) -> Mapping[str, Any]:
    answer: dict[str, Any] = client.get("/api/slipstream/requests").json()
    return answer


def test_a_key_sees_and_stops_its_own_requests_and_the_owner_all(clients: Any) -> None:
    one, two, owner = clients
    with answering(one) as lines, answering(two) as others:
        (live,) = told(one)["live"]
        assert live["key"] == "one"
        assert {each["key"] for each in told(owner)["live"]} == {"one", "two"}
        stop = {"id": live["id"]}
        assert two.post("/api/slipstream/requests/stop", json=stop).status_code == 404
        goes_on(lines)
        stopped = one.post("/api/slipstream/requests/stop", json=stop)
        assert stopped.status_code == 200
        assert {each["key"] for each in stopped.json()["log"]} <= {"one"}
        last = [line for line in lines if line.startswith("data: ")][-1]
        assert "another request with the same key" in json.loads(last.removeprefix("data: "))["error"]["message"]
        goes_on(others)
        (live,) = told(two)["live"]
        assert owner.post("/api/slipstream/requests/stop", json={"id": live["id"]}).status_code == 200
        assert "stopped in Slipstream" in "".join(others)
    for client, key in ((one, "one"), (two, "two")):
        wait_until(lambda client=client: len(told(client)["log"]) > 0)
        seen = told(client)
        assert {each["key"] for each in (*seen["callers"], *seen["log"])} == {key}


def test_events_tell_a_key_of_its_own_requests(clients: Any) -> None:
    one, two, _ = clients
    with answering(one):
        for client, keys in ((one, {"one"}), (two, set())):
            with client.stream("GET", "/api/slipstream/events") as response:
                lines = response.iter_lines()
                assert any(line == "event: requests" for line in lines)
                requests = json.loads(next(lines).removeprefix("data: "))
                assert {each["key"] for each in requests} == keys


def test_a_response_is_there_for_the_key_that_asked_for_it_and_for_the_owner(clients: Any) -> None:
    one, two, owner = clients
    kept = one.post("/v1/responses", json={"input": "Hi", "max_output_tokens": 4}).json()
    item = {"type": "item_reference", "id": kept["output"][0]["id"]}
    path = f"/v1/responses/{kept['id']}"
    for ask in (two.get, two.delete):
        assert ask(path).status_code == 404
    assert two.get(f"{path}/input_items").status_code == 404
    assert two.post(f"{path}/cancel", json={}).status_code == 404
    more = {"input": "And?", "previous_response_id": kept["id"], "max_output_tokens": 4}
    missing = two.post("/v1/responses", json=more)
    never = two.post("/v1/responses", json={**more, "previous_response_id": "resp_never"})
    assert (missing.status_code, never.status_code) == (400, 400)
    assert missing.text.replace(kept["id"], "resp_never") == never.text, "nobody learns that it is there"
    assert two.post("/v1/responses", json={"input": [item]}).status_code == 404
    next_ = one.post("/v1/responses", json=more)
    assert next_.status_code == 200
    assert one.get(f"/v1/responses/{next_.json()['id']}/input_items").status_code == 200
    for client, status in ((one, 200), (two, 404), (owner, 200)):
        assert client.get(path).status_code == status
    mine = owner.post("/v1/responses", json={"input": "Hi", "max_output_tokens": 4}).json()["id"]
    assert one.get(f"/v1/responses/{mine}").status_code == 404, "what the owner asked is no key's"
    assert owner.delete(path).status_code == 200
    assert one.get(path).status_code == 404


def test_a_key_that_is_revoked_ends_what_is_answered_to_it_and_nothing_else(clients: Any, keys: Keys) -> None:
    one, two, _ = clients
    with answering(one) as lines, answering(two) as others, one.stream("GET", "/api/slipstream/events") as response:
        events = response.iter_lines()
        assert any(line == "event: requests" for line in events)
        keys.revoke("one")
        last = [line for line in lines if line.startswith("data: ")][-1]
        error = json.loads(last.removeprefix("data: "))["error"]
        assert (error["code"], "revoked" in error["message"]) == ("stopped", True)
        assert "event: end" in list(events)
        assert one.get("/v1/models").status_code == 200, "who needs no key is let in with a wrong one"
        goes_on(others)
    keys.add("one")  # for the end of the test


def test_a_new_key_of_an_old_name_is_another_key(clients: Any, keys: Keys, url: str) -> None:
    one, _, owner = clients
    kept = one.post("/v1/responses", json={"input": "Hi", "max_output_tokens": 4}).json()
    path = f"/v1/responses/{kept['id']}"
    with answering(one) as lines:
        keys.revoke("one")
        bearer = {"authorization": f"Bearer {keys.add('one')}"}
        with httpx.Client(base_url=url, headers=bearer, timeout=SECONDS) as new:
            assert told(new) == {"live": [], "callers": [], "log": []}
            for asked in (path, f"{path}/input_items"):
                assert new.get(asked).status_code == 404
            more = {"input": "And?", "previous_response_id": kept["id"], "max_output_tokens": 4}
            assert new.post("/v1/responses", json=more).status_code == 400
            item = {"type": "item_reference", "id": kept["output"][0]["id"]}
            assert new.post("/v1/responses", json={"input": [item]}).status_code == 404
            assert new.delete(path).status_code == 404
            last = [line for line in lines if line.startswith("data: ")][-1]
            assert "revoked" in json.loads(last.removeprefix("data: "))["error"]["message"]
    keys.require(False)
    assert owner.get(path).status_code == 200


@pytest.mark.parametrize("name", ["given at the start", "slipstream's own commands"])
def test_a_key_with_the_name_of_one_that_is_not_kept_is_another(tmp_path: Path, name: str) -> None:
    keys = Keys(tmp_path / "keys.json")
    authority = Authority(keys, "sk-given", own="sk-own")
    passes = [authority.pass_of(key) for key in (b"sk-given", b"sk-own", keys.add(name).encode())]
    given, own, kept = (Client("127.0.0.1", shown) for shown in passes)
    assert all(client.key_id and authority.knows(client.key_id) for client in (given, own, kept))
    for client in (given, own):
        assert not kept.may_see(client.key_id)
        assert not client.may_see(kept.key_id)
    keys.revoke(name)
    assert kept.key_id
    assert not authority.knows(kept.key_id)
