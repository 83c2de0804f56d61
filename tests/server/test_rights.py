"""What a key may do that uses models and does not manage them, in each dialect, over real services."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute

from app.server.core.calls import CallBook
from app.server.core.rights import require_managing
from app.server.core.switchboard import Switchboard
from app.server.dialects import DIALECTS
from app.server.native.routes import Native
from app.server.scope import Scope
from tests.server.test_native import MODELS, until
from tests.server.test_server import OneEngine
from tests.ui.stage import StageServices

SECONDS = 60.0
QUICK, SLOW = "stage/quick", "stage/slow"
MANAGING: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("POST", "/api/slipstream/models/load", {"model": SLOW}),
    ("POST", "/api/slipstream/models/load", {"model": QUICK, "options": {"context": 512}}),
    ("POST", "/api/slipstream/models/unload", {"model": QUICK}),
    ("POST", "/api/slipstream/models/pin", {"model": QUICK}),
    ("POST", "/api/slipstream/jobs/install", {"name": "guide"}),
    ("POST", "/api/slipstream/jobs/cancel", {"id": 1}),
    ("POST", "/api/pull", {"model": "guide"}),
    ("DELETE", "/api/delete", {"model": QUICK}),
)


@dataclass(frozen=True)
class Callers:
    """Of a key that uses, of one that manages, and of who needs none."""

    services: StageServices
    use: httpx.Client
    manage: httpx.Client
    owner: httpx.Client


@pytest.fixture
def callers(tmp_path: Path) -> Iterator[Callers]:
    services = StageServices(tmp_path, list(MODELS))
    keys = services.keys.add("phone"), services.keys.add("desk", Scope.MANAGE)
    services.keys.require(False)
    services.load_model(MODELS[0]).wait_ready(SECONDS)
    url = services.server.start(port=0)
    headers = (*({"authorization": f"Bearer {key}"} for key in keys), {})
    use, manage, owner = (httpx.Client(base_url=url, headers=each, timeout=SECONDS) for each in headers)
    with use, manage, owner:
        yield Callers(services, use, manage, owner)
    services.close()


def test_a_key_that_uses_models_manages_none_and_is_told_what_to_do(callers: Callers) -> None:
    for method, path, body in MANAGING:
        refused = callers.use.request(method, path, json=body)
        error = refused.json()["error"]
        sentence = error if path.startswith("/api/pull") or path == "/api/delete" else error["message"]
        assert (refused.status_code, "“phone” may use models" in sentence) == (403, True), (path, refused.text)
        assert "slipstream keys --change" in sentence
        assert isinstance(error, str) or error.keys() == {"message", "code", "param"}, "in the words of its dialect"
    (engine,) = callers.services.supervisor.engines()
    assert (engine.name, engine.snapshot.ready and engine.snapshot.ready.context) == (QUICK, 4096)
    assert not callers.services.jobs.jobs()


def test_it_asks_reads_and_has_a_model_loaded_by_asking_for_it(callers: Callers) -> None:
    chat = {"model": SLOW, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}
    assert callers.use.post("/v1/chat/completions", json=chat).status_code == 200
    assert {each.name for each in callers.services.supervisor.engines()} == {QUICK, SLOW}
    for path in ("models", "jobs", "cards", "requests", "stats"):
        assert callers.use.get(f"/api/slipstream/{path}").status_code == 200
    for path in ("/api/tags", "/api/ps", "/v1/models", "/props", "/slots", "/lora-adapters"):
        assert callers.use.get(path).status_code == 200
    for path, body in (("/lora-adapters", [{"id": 0, "scale": 0.5}]), ("/slots/0", {}), ("/props", {})):
        answers = [each.post(path, json=body) for each in (callers.use, callers.manage)]
        assert answers[0].text == answers[1].text, "what nobody changes at this port is not for a key to allow"


def test_how_long_a_model_stays_is_for_a_key_that_manages_to_say(callers: Callers) -> None:
    for client, leaves in ((callers.use, True), (callers.manage, False)):
        told = client.post("/api/generate", json={"model": QUICK, "keep_alive": -1})
        assert told.status_code == 200
        (loaded,) = callers.services.residency.loaded()
        assert (loaded.leaves is not None) == leaves


def test_an_unload_that_is_said_as_a_length_of_stay_is_one(callers: Callers) -> None:
    for path, empty in (("/api/generate", {}), ("/api/chat", {"messages": []})):
        refused = callers.use.post(path, json={"model": QUICK, "keep_alive": 0, **empty})
        assert (refused.status_code, "“phone” may use models" in refused.json()["error"]) == (403, True), refused.text
        assert [each.name for each in callers.services.supervisor.engines()] == [QUICK]
    told = callers.manage.post("/api/generate", json={"model": QUICK, "keep_alive": 0})
    assert (told.status_code, told.json()["done_reason"]) == (200, "unload")


def test_a_key_that_manages_does_all_that_who_needs_none_does(callers: Callers) -> None:
    for client in (callers.manage, callers.owner):
        assert client.post("/api/slipstream/models/unload", json={"model": QUICK}).status_code == 200
        assert client.post("/api/slipstream/models/load", json={"model": QUICK}).status_code == 200
        job = client.post("/api/slipstream/jobs/install", json={"name": "guide"}).json()
        assert client.post("/api/slipstream/jobs/cancel", json={"id": job["id"]}).status_code == 200
        until(lambda: all(job.state == "cancelled" for job in callers.services.jobs.jobs()))


def test_a_key_calls_off_the_job_that_it_has_begun_and_no_other(callers: Callers) -> None:
    begin, cancel = "/api/slipstream/jobs/install", "/api/slipstream/jobs/cancel"
    theirs = callers.owner.post(begin, json={"name": "smollm2"}).json()["id"]
    own = callers.manage.post(begin, json={"name": "guide"}).json()["id"]
    callers.services.keys.allow("desk", Scope.USE)
    assert callers.manage.post(cancel, json={"id": theirs}).status_code == 403
    assert callers.use.post(cancel, json={"id": own}).status_code == 403
    assert callers.manage.post(cancel, json={"id": own}).status_code == 200
    assert callers.manage.post(begin, json={"name": "guide"}).status_code == 403


OWN = {  # a key's own requests, jobs and responses are its to end
    *("/api/slipstream/requests/stop", "/api/slipstream/jobs/cancel"),
    *("/v1/responses/{response_id}", "/responses/{response_id}"),
}


def test_no_route_that_manages_was_forgotten() -> None:
    """Of the dialects that have any, each that does not only read or answer is marked."""
    switchboard = Switchboard(OneEngine(), SECONDS)
    control: Any = SimpleNamespace(subscribe=None)
    routers = [router(switchboard) for dialect in DIALECTS for router in dialect.routers]
    routers.append(Native(control, CallBook()).router(switchboard))
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    changing = {route.path for route in routes if _changes(route)} - OWN
    marked = {
        route.path for route in routes if require_managing in [each.call for each in route.dependant.dependencies]
    }
    assert changing | {"/api/pull"} == marked == {path for _, path, _ in MANAGING} - OWN


def _changes(route: APIRoute) -> bool:
    """Of our own API whatever is posted, of the others' what deletes."""
    methods = route.methods or set()
    return "DELETE" in methods or (route.path.startswith("/api/slipstream") and "POST" in methods)
