"""/api/slipstream: what the window can do, for commands and scripts, over real services with the fake engine."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.server.core.refusal import Refusal
from app.server.native import feed
from app.server.native.events import NewsStream
from tests.ui.stage import StageServices, entry

SECONDS = 60.0
MODELS = (entry("Quick"), entry("Slow", "slow-20ms.gguf"), entry("Broken", "bad.gguf"))


@pytest.fixture
def services(tmp_path: Path) -> Iterator[StageServices]:
    result = StageServices(tmp_path, list(MODELS))
    yield result
    result.close()


@pytest.fixture
def client(services: StageServices) -> Iterator[httpx.Client]:
    url = services.start_server(port=free_port())
    with httpx.Client(base_url=f"{url}/api/slipstream", timeout=SECONDS) as client:
        yield client


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(is_so: Callable[[], Any]) -> Any:
    done = threading.Event()
    for _ in range(3000):
        if value := is_so():
            return value
        done.wait(0.02)
    raise AssertionError("it did not come to that")


def engines(client: httpx.Client) -> dict[str, Any]:
    return {each["name"]: each for each in client.get("/models").json()["engines"]}


def test_a_model_is_loaded_with_options_seen_and_unloaded(client: httpx.Client, services: StageServices) -> None:
    listed = client.get("/models").json()
    assert [(each["id"], each["engine"], each["is_offered"]) for each in listed["models"]][:1] == [
        ("stage/quick", None, True)
    ]
    assert "/models/" not in json.dumps(listed)  # no path of this machine
    loaded = client.post("/models/load", json={"model": "stage/quick", "options": {"context": 512, "parallel": 2}})
    assert loaded.json()["state"] == "loading"
    engine = until(lambda: (each := engines(client)["stage/quick"])["state"] == "ready" and each)
    assert (engine["context"], engine["parallel"]) == (512, 2)
    pid = services.supervisor.get("stage/quick").pid
    assert client.post("/models/load", json={"model": "stage/quick"}).json()["state"] == "ready"
    assert services.supervisor.get("stage/quick").pid == pid  # what is there stays as it is
    assert next(each for each in client.get("/models").json()["models"] if each["engine"])["id"] == "stage/quick"
    assert client.get("/stats").json()["engines"][0]["engine"] == "stage/quick"
    assert client.post("/models/unload", json={"model": "stage/quick"}).json()["state"] == "closed"
    assert engines(client) == {}


REFUSED: tuple[tuple[str, dict[str, Any], int, str], ...] = (
    ("/models/load", {"model": "nobody"}, 404, "no model named “nobody”"),
    ("/models/load", {"model": "/etc/passwd"}, 404, "no model named"),
    ("/models/load", {"model": "stage/quick", "options": {"adapters": [{"path": "/etc/passwd"}]}}, 400, "files"),
    ("/models/load", {"model": "stage/quick", "options": {"prompt_cache_folder": "/tmp"}}, 400, "folders"),
    ("/models/load", {"model": "stage/quick", "options": {"draft_model": "/etc/passwd"}}, 404, "no model named"),
    ("/models/load", {"model": "stage/quick", "options": {"context": 0}}, 400, "context"),
    ("/models/load", {"model": "stage/quick", "options": {"parallel": 10**9}}, 400, "parallel"),
    ("/models/unload", {"model": "stage/quick"}, 404, "No model named “stage/quick” is loaded"),
    ("/models/unload", {}, 400, "model"),
    ("/jobs/install", {"name": "no stroke"}, 400, "names nothing on the Hub"),
    ("/jobs/install", {"name": "../../etc"}, 404, "not the name of a repository"),
    ("/jobs/cancel", {"id": 77}, 404, "There is no job 77"),
    ("/requests/stop", {"id": 77}, 404, "No request 77"),
    ("/requests/stop", {"id": -1}, 400, "id"),
    ("/nothing", {}, 404, "no route"),
)


def test_what_cannot_be_done_is_said_in_one_shape(client: httpx.Client) -> None:
    for path, body, status, what in REFUSED:
        response = client.post(path, json=body)
        assert response.status_code == status, response.text
        error = response.json()["error"]
        assert set(error) == {"message", "code", "param"}
        assert what in error["message"], (path, body)


def test_nothing_is_changed_without_a_json_body(client: httpx.Client, services: StageServices) -> None:
    for path in ("/models/load", "/jobs/install", "/jobs/cancel", "/requests/stop"):
        assert client.post(path, content=b'{"model": "stage/quick"}').status_code == 415
        assert client.get(path).status_code == 405
    assert not services.supervisor.engines()


def test_a_job_is_started_told_and_called_off(client: httpx.Client, services: StageServices) -> None:
    job = client.post("/jobs/install", json={"name": "guide"}).json()
    assert (job["title"], job["steps"]) == ("Install the guide", ["Convert", "Quantize"])
    until(lambda: client.get("/jobs").json()["jobs"][0]["state"] == "running")
    assert client.post("/jobs/cancel", json={"id": job["id"]}).status_code == 200
    until(lambda: client.get("/jobs").json()["jobs"][0]["state"] == "cancelled")
    services.guide.go_on.set()
    client.post("/jobs/install", json={"name": "guide"})
    until(lambda: client.get("/jobs").json()["jobs"][-1]["state"] == "done")
    again = client.post("/jobs/install", json={"name": "guide"})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "already_there")


def test_live_requests_are_listed_and_stopped(client: httpx.Client, services: StageServices) -> None:
    services.load_model(MODELS[1]).wait_ready(SECONDS)
    body = {"model": "stage/slow", "messages": [{"role": "user", "content": "Hi"}], "ignore_eos": True}
    root = client.base_url.copy_with(path="/v1/chat/completions")
    answers: list[httpx.Response] = []
    asking = threading.Thread(target=lambda: answers.append(client.post(str(root), json=body)))
    asking.start()
    live = until(lambda: [each for each in client.get("/requests").json()["live"] if each["num_tokens"]])
    assert (live[0]["model"], live[0]["phase"]) == ("stage/slow", "answering")
    assert client.post("/requests/stop", json={"id": live[0]["id"]}).status_code == 200
    asking.join(SECONDS)
    assert answers[0].status_code == 403
    told = until(lambda: not (each := client.get("/requests").json())["live"] and each)
    assert [each["is_stopped"] for each in told["log"] if each["model"]] == [True]


def test_events_tell_engines_and_jobs_and_end_with_the_server(client: httpx.Client, services: StageServices) -> None:
    heard: list[tuple[str, Any]] = []

    def listen() -> None:
        with client.stream("GET", "/events") as response:
            event = ""
            for line in response.iter_lines():
                if line.startswith("event: "):
                    event = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    heard.append((event, json.loads(line.removeprefix("data: "))))

    listening = threading.Thread(target=listen)
    listening.start()
    until(lambda: heard)  # the requests that are there, as a reader's first word
    services.load_model(MODELS[0])
    until(lambda: ("engine", "ready") in [(event, value.get("state")) for event, value in heard if event == "engine"])
    until(lambda: [value for event, value in heard if event == "performance" and value["engines"]])
    services.install_guide()
    until(lambda: [value for event, value in heard if event == "job" and value["state"] == "running"])
    services.guide.go_on.set()
    until(lambda: [value for event, value in heard if event == "job" and value["state"] == "done"])
    services.stop_server()
    listening.join(SECONDS)
    assert not listening.is_alive()
    assert heard[-1][0] == "end"


def test_no_more_read_the_events_than_there_are_places_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them come before the first of them knows the state of things, for which it asks a thread."""
    monkeypatch.setattr(feed, "MAX_READERS", 1)
    sent: list[list[Any]] = [[], []]

    async def read(news: feed.Feed, messages: list[Any], may_know: asyncio.Event) -> None:
        async def receive() -> Any:
            await may_know.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            messages.append(message)

        try:
            await NewsStream(news, list, list)({"type": "http"}, receive, send)
        except Refusal as refusal:
            messages.append(refusal.status)

    async def run() -> None:
        news, may_know = feed.Feed(lambda _: lambda: None), asyncio.Event()
        readers = [asyncio.ensure_future(read(news, each, may_know)) for each in sent]
        await readers[1]
        may_know.set()
        await readers[0]
        await read(news, third := [], may_know)  # the place is free again
        sent.append(third)

    asyncio.run(run())
    assert sent[1] == [503]
    assert [messages[0]["status"] for messages in (sent[0], sent[2])] == [200, 200]


def test_openapi_describes_every_native_route_with_its_shape(client: httpx.Client) -> None:
    schema = client.get(str(client.base_url.copy_with(path="/openapi.json"))).json()
    native = {path: methods for path, methods in schema["paths"].items() if path.startswith("/api/slipstream/")}
    assert len(native) >= 10
    for path, methods in native.items():
        for method, described in methods.items():
            answer = described["responses"]["200"]["content"]
            assert "text/event-stream" in answer or answer["application/json"]["schema"].get("$ref"), (path, method)
            assert (
                "code"
                in described["responses"]["4XX"]["content"]["application/json"]["schema"]["properties"]["error"][
                    "required"
                ]
            )
