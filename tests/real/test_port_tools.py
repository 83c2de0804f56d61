"""A real model's calls on the port, in the words of each dialect."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from app.inference.supervisor import Supervisor
from backends.protocol import DraftMode, EngineOptions
from tests.inference.conftest import SECONDS
from tests.real import things
from tests.server.conftest import Port, serve
from tests.server.test_anthropic import events

pytestmark = pytest.mark.real

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
ASKED = {
    "model": "smollm2",
    "max_tokens": 100,
    "temperature": 0,
    "messages": [{"role": "user", "content": "How is the weather in Rome?"}],
}


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Port]:
    supervisor = Supervisor(tmp_path_factory.mktemp("engine"))
    handle = supervisor.load("smollm2", things.smollm2(), EngineOptions(context=2048, draft=DraftMode.OFF))
    handle.wait_ready(SECONDS)
    with serve(supervisor) as port:
        yield port


def test_a_demanded_call_comes_whole_and_in_pieces(port: Port) -> None:
    function = {"name": "get_weather", "description": "Tells the weather.", "parameters": SCHEMA}
    body: dict[str, Any] = {**ASKED, "tools": [{"type": "function", "function": function}], "tool_choice": "required"}
    (choice,) = port.client.post("/v1/chat/completions", json=body).json()["choices"]
    assert choice["finish_reason"] == "tool_calls"
    called = choice["message"]["tool_calls"][0]["function"]
    assert called["name"] == "get_weather"
    assert set(json.loads(called["arguments"])) == {"city"}
    lines = port.client.post("/v1/chat/completions", json={**body, "stream": True}).text.splitlines()
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: {")]
    calls = [call for chunk in chunks for each in chunk["choices"] for call in each["delta"].get("tool_calls", ())]
    first = [call["function"] for call in calls if call["index"] == 0]
    assert "".join(function["arguments"] for function in first) == called["arguments"]


def test_a_demanded_call_that_is_whole_is_kept_as_such_and_one_that_its_limit_has_cut_is_told(port: Port) -> None:
    function = {"name": "get_weather", "description": "Tells the weather.", "parameters": SCHEMA}
    question = [{"role": "user", "content": "How is the weather in Paris and in London?"}]
    tools = {"tools": [{"type": "function", "function": function}], "tool_choice": "required"}

    def called(**more: Any) -> tuple[str, list[str], int]:
        body = {**ASKED, **tools, "messages": question, **more}
        answer = port.client.post("/v1/chat/completions", json=body).json()
        (choice,) = answer["choices"]
        arguments = [call["function"]["arguments"] for call in choice["message"]["tool_calls"]]
        return choice["finish_reason"], arguments, answer["usage"]["completion_tokens"]

    _, several, num_all = called()
    finish, one, num_tokens = called(parallel_tool_calls=False)
    assert (finish, one) == ("tool_calls", several[:1])
    assert len(several) > 1, "else nothing is left out below"
    for limit in (num_tokens + 2, num_all - 2):  # no room for a second, and not enough for it
        assert called(max_tokens=limit)[:2] == ("tool_calls", one), limit
    assert called(max_tokens=num_tokens - 2)[0] == "length"


def test_a_demanded_block_comes(port: Port) -> None:
    tools = [{"name": "get_weather", "description": "Tells the weather.", "input_schema": SCHEMA}]
    body = {**ASKED, "tools": tools, "tool_choice": {"type": "any"}, "stream": True}
    told = events(port.client.post("/v1/messages", json=body).text)
    kinds = [data["content_block"]["type"] for kind, data in told if kind == "content_block_start"]
    assert "tool_use" in kinds
    assert told[-2][1]["delta"]["stop_reason"] == "tool_use"
