"""Who calls the port: requests that are being answered, those that are over, and their log without texts."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.inference.supervisor import Supervisor
from app.server import Server
from app.server.core.calls import MAX_CALLERS, MAX_LOGGED, CallBook
from app.server.core.client_name import client_name
from app.server.core.tally import Phase
from app.server.request_log import MAX_BYTES, RequestLog
from backends.protocol import EngineOptions
from tests.patience import PATIENCE
from tests.server.conftest import Directory

AGENT = {"User-Agent": "OpenAI/Python 3.54.0"}
SECRET = "nobody may read this"


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        ("OpenAI/Python 3.54.0", "OpenAI/Python 3.54.0"),
        ("curl/8.5.0", "curl/8.5.0"),
        ("claude-cli/2.0.1 (external, cli)", "claude-cli/2.0.1"),
        ("", "unnamed"),
        (" (only a comment)", "unnamed"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox"),
        ("Mozilla/5.0 (Macintosh) AppleWebKit/605 (KHTML, like Gecko) Version/18 Safari/605", "Safari"),
        ("Mozilla/5.0 AppleWebKit/537 (KHTML) obsidian/1.9.1 Chrome/130 Electron/33 Safari/537", "obsidian/1.9.1"),
        ("a\x1b[31mb" * 100, None),
    ],
)
def test_a_program_is_called_by_what_it_calls_itself(user_agent: str, name: str | None) -> None:
    shown = client_name(user_agent)
    assert shown == name or (name is None and shown.isprintable() and len(shown) <= 60)


def until(is_so: Callable[[], Any]) -> Any:
    done = threading.Event()
    for _ in range(3000):
        if value := is_so():
            return value
        done.wait(0.02)
    raise AssertionError("it did not come to that")


def test_a_request_is_seen_while_it_is_answered_and_counted_when_it_is_over(port: Any) -> None:
    calls: CallBook = port.server.calls
    with port.stream(SECRET, model="slow", ignore_eos=True) as stream:
        assert stream.next_text()
        live = until(lambda: [each for each in calls.live() if each.num_tokens > 3])
        assert [(each.model, each.phase, each.dialect) for each in live] == [("slow", Phase.ANSWERING, "OpenAI")]
        assert live[0].address == "127.0.0.1"
        assert until(lambda: calls.live()[0].per_second) > 0
    logged = until(lambda: [each for each in calls.logged() if each.id == live[0].id])[0]
    assert (logged.path, logged.status, logged.model) == ("/v1/chat/completions", 200, "slow")
    assert logged.num_tokens > 3
    assert logged.num_prompt > 0  # although its end was not waited for
    assert SECRET not in repr(calls.logged())
    seen = next(each for each in calls.callers() if each.model == "slow")
    assert seen.client.startswith("python-httpx/")
    assert seen.num_tokens >= logged.num_tokens


def test_tokens_are_those_that_the_answer_counts(port: Any) -> None:
    earlier = {each.id for each in port.server.calls.logged()}
    usage = port.chat("Hi", model="quick", max_tokens=9).json()["usage"]
    logged = until(lambda: [each for each in port.server.calls.logged() if each.id not in earlier])[0]
    assert (logged.num_prompt, logged.num_tokens) == (usage["prompt_tokens"], usage["completion_tokens"])


def test_a_program_that_is_refused_is_counted_too(port: Any) -> None:
    assert port.client.post("/v1/embeddings", content=b"{}", headers=AGENT).status_code == 415
    logged = until(lambda: [each for each in port.server.calls.logged() if each.status == 415])[0]
    assert (logged.client, logged.model, logged.num_tokens) == ("OpenAI/Python 3.54.0", "", 0)
    assert next(each for each in port.server.calls.callers() if each.client == logged.client).num_refused >= 1


@pytest.mark.parametrize("streams", [True, False])
def test_a_person_stops_an_answer_and_its_reader_is_told_in_words(port: Any, streams: bool) -> None:
    """With a status that no client tries again by itself."""
    calls: CallBook = port.server.calls
    answers: list[Any] = []

    def ask() -> None:
        if streams:
            with port.stream("Hi", model="slow", ignore_eos=True) as stream:
                answers.extend(stream)
        else:
            answers.append(port.chat("Hi", model="slow", ignore_eos=True))

    asking = threading.Thread(target=ask)
    asking.start()
    port.server.stop_request(until(lambda: [each for each in calls.live() if each.num_tokens])[0].id)
    asking.join(PATIENCE)
    error = answers[-1]["error"] if streams else answers[-1].json()["error"]
    assert "stopped in Slipstream" in error["message"]
    assert error["code"] == "stopped"
    assert streams or answers[-1].status_code == 403
    assert until(lambda: [each for each in calls.logged() if each.is_stopped])[0].model == "slow"
    port.server.stop_request(10**9)  # one that is not there is left alone


def test_a_stop_reaches_a_request_whose_model_still_loads(run: Any) -> None:
    with run(load_seconds=90.0, lazy="stuck") as port:
        answers: list[Any] = []
        asking = threading.Thread(target=lambda: answers.append(port.chat("Hi", model="lazy")))
        asking.start()
        live = until(port.server.calls.live)[0]
        assert live.phase is Phase.LOADING
        port.server.stop_request(live.id)
        asking.join(PATIENCE)
        assert answers[0].status_code == 403


def test_lists_are_bounded_whatever_comes() -> None:
    book = CallBook()
    for number in range(MAX_LOGGED + MAX_CALLERS):
        headers = [(b"user-agent", f"robot/{number}".encode())]
        scope = {"headers": headers, "path": f"/{number}", "method": "GET", "client": ("::1", 1)}
        book.end(book.begin(scope, "OpenAI"))
    assert (len(book.callers()), len(book.logged())) == (MAX_CALLERS, MAX_LOGGED)
    assert book.callers()[0].client == f"robot/{MAX_LOGGED + MAX_CALLERS - 1}"


def test_the_log_has_a_line_for_each_request_and_no_text(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path / "logs")
    supervisor.load("quick", Path("quick"), EngineOptions(), backend="fake").wait_ready(60)
    log = RequestLog(tmp_path / "logs")
    server = Server(Directory(supervisor), log=log.note)
    import httpx

    try:
        url = server.start(port=0)
        body = {"messages": [{"role": "user", "content": SECRET}], "max_tokens": 5}
        with httpx.Client(base_url=url, headers=AGENT) as client:
            said = client.post("/v1/chat/completions", json=body).json()["choices"][0]["message"]["content"]
            client.get("/health")
            client.get("/v1/models")
        lines = until(lambda: log.path.exists() and len(found := log.path.read_text().splitlines()) == 2 and found)
    finally:
        server.stop()
        supervisor.close()
    first, second = map(json.loads, lines)
    assert (first["path"], first["client"], first["num_tokens"]) == ("/v1/chat/completions", AGENT["User-Agent"], 5)
    assert second["path"] == "/v1/models"
    assert SECRET not in "".join(lines)
    assert said not in "".join(lines)
    assert log.path.stat().st_mode & 0o077 == 0


def test_a_log_that_is_full_makes_room_once(tmp_path: Path) -> None:
    log = RequestLog(tmp_path)
    log.path.write_bytes(b"x" * MAX_BYTES)
    book = CallBook(log.note)
    scope = {"headers": [], "path": "/", "method": "GET", "client": None}
    book.end(book.begin(scope, "OpenAI"))
    previous = tmp_path / "requests.previous.log"
    until(previous.exists)
    book.end(book.begin(scope, "OpenAI"))
    until(lambda: log.path.exists() and log.path.stat().st_size < MAX_BYTES)


def test_two_keys_of_one_name_are_two_callers() -> None:
    from app.server.auth import Pass
    from app.server.core.client import CLIENT_STATE, Client
    from app.server.scope import Scope

    book = CallBook()
    for key_id in "abab":
        call = book.begin({"headers": [], "path": "/v1/models", "method": "GET"}, "OpenAI")
        call.state[CLIENT_STATE] = Client("127.0.0.1", Pass("laptop", Scope.USE, key_id))  # type: ignore[index]
        book.end(call)
    callers = book.callers()
    assert [(each.key, each.num_requests) for each in callers] == [("laptop", 2)] * 2
    assert len({each.id for each in callers}) == 2
