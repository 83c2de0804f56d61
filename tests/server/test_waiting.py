"""Who waits for a stream hears that it is there: while a model loads, in a line, and while a prompt is read."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.server.core import stream
from tests.server.conftest import Port, user
from tests.server.test_disconnect import LONG

CHAT = {"messages": user("Hello"), "stream": True}
DIALECTS = {
    "/v1/chat/completions": CHAT,
    "/v1/messages": {**CHAT, "max_tokens": 400},
    "/api/chat": {"messages": user("Hello")},
}


@pytest.fixture
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "SILENCE_SECONDS", 0.05)


@contextmanager
def opened(port: Port, path: str, **fields: Any) -> Iterator[httpx.Response]:
    with port.client.stream("POST", path, json={**DIALECTS.get(path, CHAT), **fields}) as response:
        yield response


def is_filler(path: str, line: str) -> bool:
    """What keeps a connection alive in this dialect."""
    if path == "/v1/messages":
        return line == 'data: {"type":"ping"}'
    if path == "/api/chat":
        piece = json.loads(line)
        return bool(piece["message"]["content"] == "" and not piece["done"])
    return line.startswith(":")


@pytest.mark.usefixtures("_hasty")
@pytest.mark.parametrize("path", DIALECTS)
def test_while_a_model_loads_the_header_comes_and_the_line_is_not_silent(
    run: Callable[..., Any], says: Callable[[str], str], tmp_path: Path, path: str
) -> None:
    file = tmp_path / "waits"
    with run(late=str(file)) as port, opened(port, path, model="late") as response:
        assert response.status_code == 200
        lines = (line for line in response.iter_lines() if line)
        fillers = (line for line in lines if is_filler(path, line))
        first = next(fillers)
        assert next(fillers)
        if path == "/v1/chat/completions":
            assert first.startswith(": loading the model, ")
        file.touch()
        assert "".join(filter(None, map(_text, lines))) == says("Hello")


def _text(line: str) -> str:
    """What a line of a stream says, in any of the dialects."""
    if not line.startswith(("data: {", "{")):
        return ""
    chunk = json.loads(line.removeprefix("data: "))
    said = [choice["delta"] for choice in chunk.get("choices", ())] + [chunk.get("delta", {}), chunk.get("message", {})]
    return "".join(each.get("content") or each.get("text") or "" for each in said)


@pytest.mark.parametrize("path", DIALECTS)
def test_a_load_that_fails_is_an_error_event_of_the_dialect(run: Callable[..., Any], path: str) -> None:
    with run(late="stuck") as port, opened(port, path, model="late") as response:
        assert response.status_code == 200
        unload = threading.Thread(target=port.supervisor.unload, args=("late",))
        unload.start()
        *_, last = (line for line in response.iter_lines() if line)
        unload.join()
    error = json.loads(last.removeprefix("data: "))
    assert "loaded" in json.dumps(error["error"], ensure_ascii=False)


def test_what_cannot_be_answered_has_its_own_status_still(port: Port) -> None:
    for fields, status in (({"model": "nobody"}, 404), ({"model": "quick", "messages": user("x" * 10_000)}, 400)):
        assert port.post("chat/completions", **{**CHAT, **fields}).status_code == status


@pytest.mark.usefixtures("_hasty")
def test_who_waits_in_a_line_is_told_so(run: Callable[..., Any]) -> None:
    with run(slow="20ms") as port, port.stream(LONG, model="slow", draft=False, n=8) as busy:
        busy.next_text()
        port.watch.until_running("slow", 4)  # all places are taken
        with opened(port, "/v1/chat/completions", model="slow") as response:
            assert ": waiting for a place" in response.iter_lines()  # on a busy machine not the first thing said


def test_progress_of_a_prompt_is_as_with_llama_server(run: Callable[..., Any]) -> None:
    with run(slow="5ms") as port:
        with port.stream("x" * 3000, model="slow", return_progress=True, max_tokens=2) as answer:
            told = [chunk["prompt_progress"] for chunk in answer if "prompt_progress" in chunk]
        assert told[0]["cache"] == told[0]["processed"] == 0
        assert told[-1]["processed"] == told[-1]["total"] > 3000
        assert len(told) > 2
        assert sorted({each["processed"] for each in told}) == [each["processed"] for each in told]
        with port.stream("Hi", model="slow", max_tokens=2) as answer:
            assert not [chunk for chunk in answer if "prompt_progress" in chunk]


@pytest.mark.usefixtures("_hasty")
def test_leaving_while_the_model_loads_leaves_nothing(run: Callable[..., Any]) -> None:
    with run(late="stuck") as port:
        with opened(port, "/v1/chat/completions", model="late") as response:
            lines = response.iter_lines()  # once nobody holds it, httpx hangs up
            next(lines)
            assert port.server.num_requests == 1
        port.until_idle()
