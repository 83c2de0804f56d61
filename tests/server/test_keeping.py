"""Ollama's pull and delete: by the window's own road, against the Hub's double, never into other people's folders."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.paths import Paths
from app.server import Server
from app.server.core.keeping import PullState
from app.services import Services
from tests.hub.conftest import hub_double, running_double
from tests.hub.double import HubDouble, HubRepo
from tests.library import gguf_bytes
from tests.patience import PATIENCE
from tests.server.attack import connection_to
from tests.server.conftest import SECONDS
from tests.server.test_server import OneEngine

__all__ = ["hub_double", "running_double"]
ID = "org/whole-GGUF"


@pytest.fixture
def services(tmp_path: Path, hub_double: HubDouble, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    hub_double.add(HubRepo(ID, {"whole-Q4_K_M.gguf": gguf_bytes.model()}))
    monkeypatch.setenv("HF_ENDPOINT", hub_double.endpoint)
    paths = Paths.below(tmp_path / "home")
    paths.ensure()
    services = Services(paths)
    yield services
    services.close()


@pytest.fixture
def client(services: Services) -> Iterator[httpx.Client]:
    url = services.server.start(port=0)
    with httpx.Client(base_url=url, timeout=PATIENCE) as client:
        yield client


def pull(client: httpx.Client, name: str) -> list[dict[str, Any]]:
    with client.stream("POST", "/api/pull", json={"model": name}) as response:
        return [json.loads(line) for line in response.iter_lines()]


def delete(client: httpx.Client, name: str) -> httpx.Response:
    return client.request("DELETE", "/api/delete", json={"model": name})


def test_a_model_is_pulled_listed_and_deleted(client: httpx.Client, services: Services) -> None:
    told = pull(client, f"hf.co/{ID}:Q4_K_M")
    assert (told[0], told[-1]) == ({"status": "pulling manifest"}, {"status": "success"})
    assert all(0 <= each["completed"] <= each["total"] for each in told if "total" in each)
    (model,) = client.get("/api/tags").json()["models"]
    assert pull(client, model["name"])[-1] == {"status": "success"}, "it is here already"
    path = next(entry.path for entry in services.library.look().entries)
    assert delete(client, model["name"]).status_code == 200
    assert not path.exists()
    assert client.get("/api/tags").json()["models"] == []
    gone = delete(client, model["name"])
    assert gone.status_code == 404
    assert gone.json()["error"].startswith("Slipstream has installed no model of the id")


def test_what_somebody_else_keeps_is_not_deleted(client: httpx.Client, services: Services, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs" / "model.gguf"
    stray = services.paths.models / "someone" / "repo" / "stray.gguf"
    for path in (theirs, stray):
        path.parent.mkdir(parents=True)
        path.write_bytes(gguf_bytes.model())
    services.add_folder(theirs.parent)
    names = [model["name"] for model in client.get("/api/tags").json()["models"]]
    assert len(names) == 2
    for name in names:
        response = delete(client, name)
        assert response.status_code == 400, response.text
        assert response.json()["error"]
    assert theirs.exists()
    assert stray.exists()


@pytest.mark.parametrize("name", ["llama3.2", "org/missing", "../../etc/passwd", "org/../x", "https://evil.example/m"])
def test_a_name_that_is_none_of_the_hubs_is_refused_before_anything_is_written(
    client: httpx.Client, services: Services, name: str
) -> None:
    response = client.post("/api/pull", json={"model": name})
    assert response.status_code in (400, 404), response.text
    assert response.json().keys() == {"error"}
    assert not list(services.paths.models.rglob("*.gguf"))


def test_without_a_stream_there_is_one_answer(client: httpx.Client) -> None:
    assert client.post("/api/pull", json={"name": f"{ID}:Q4_K_M", "stream": False}).json() == {"status": "success"}
    assert client.post("/api/pull", json={"model": ID, "insecure": True}).status_code == 400


@pytest.mark.parametrize("path", ["copy", "create", "push", "blobs/sha256:00"])
def test_what_ollama_has_for_its_own_registry_is_refused_by_name(client: httpx.Client, path: str) -> None:
    response = client.post(f"/api/{path}", json={"model": "x"})
    assert response.status_code == 501
    assert path.partition("/")[0] in response.json()["error"]


def test_whether_a_file_was_uploaded_is_asked_without_a_body(client: httpx.Client) -> None:
    assert client.head("/api/blobs/sha256:00").status_code == 501


class Endless:
    """A download that goes on until whoever wants it has left."""

    def __init__(self) -> None:
        self.asked, self.left = threading.Event(), threading.Event()

    def pull(self, name: str) -> "Endless":  # noqa: ARG002
        return self

    def state(self) -> PullState:
        self.asked.set()
        return PullState("downloading", 0.5, 100)

    def leave(self) -> None:
        self.left.set()

    def remove(self, name: str) -> None:
        raise AssertionError(name)


@pytest.mark.parametrize("streams", [True, False])
def test_who_leaves_lets_a_download_rest(streams: bool) -> None:
    endless = Endless()
    directory: Any = OneEngine()
    directory.keeper = endless
    server = Server(directory)
    url = server.start(port=0)
    try:
        body = json.dumps({"model": ID, "stream": streams}).encode()
        head = "POST /api/pull HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json"
        with connection_to(url) as connection:
            connection.sendall(f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            assert endless.asked.wait(SECONDS)
        assert endless.left.wait(SECONDS)
    finally:
        server.stop()
