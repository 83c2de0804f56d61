"""Calls of earlier turns as hostile or careless programs send them back, in the words of each dialect."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.server.deep import deepest

Turn = dict[str, Any]
HELLO = {"role": "user", "content": "Hi"}
FEW, DEEP = 40, 300


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": value}
    return value


def openai_text(value: Any) -> Turn:
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": json.dumps(value)}}
    return {"role": "assistant", "tool_calls": [call]}


def openai_object(value: Any) -> Turn:
    return {"role": "assistant", "tool_calls": [{"function": {"name": "add", "arguments": value}}]}


def anthropic(value: Any) -> Turn:
    return {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "add", "input": value}]}


PATHS = {openai_text: "/v1/chat/completions", openai_object: "/v1/chat/completions"}
PATHS |= {anthropic: "/v1/messages", openai_object: "/v1/chat/completions"}
every_way = pytest.mark.parametrize("turn", [openai_text, openai_object, anthropic])


def asked(port: Any, turn: Callable[[Any], Turn], depth: int) -> Any:
    body = {"model": "quick", "max_tokens": 4, "messages": [HELLO, turn(nested(depth)), HELLO]}
    return port.client.post(PATHS[turn], json=body)


@every_way
def test_arguments_nested_deep_are_refused_and_others_are_not(port: Any, turn: Callable[[Any], Turn]) -> None:
    assert asked(port, turn, FEW).status_code == 200
    for depth in (DEEP, 900):
        refused = asked(port, turn, depth)
        assert refused.status_code == 400, (depth, refused.text)
        assert "nested" in refused.text


@pytest.mark.parametrize("arguments", ["", "null", "[1, 2]", "3", "no json", '"x"', '{"a": 1e999}', '{"a": 1, "a": 2}'])
def test_arguments_that_are_no_object_are_shown_to_the_model(port: Any, arguments: str) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": arguments}}
    body = {"model": "quick", "messages": [HELLO, {"role": "assistant", "tool_calls": [call]}, HELLO]}
    assert port.client.post("/v1/chat/completions", json=body).status_code == 200


def test_of_a_key_that_comes_twice_the_last_counts(port: Any) -> None:
    """As with Python's, JavaScript's and most others' JSON: a proxy before us that reads it so sees what we see."""
    body = '{"model": "nobody", "messages": [], "max_tokens": 3, "messages": [{"role": "user", "content": "Hi"}], '
    answer = port.client.post(
        "/v1/chat/completions", content=body + '"model": "quick"}', headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("name", ["tools", "response_format", "messages"])
def test_json_nested_deep_is_refused_wherever_it_stands(port: Any, name: str) -> None:
    most = deepest(lambda depth: body_of(name, depth))
    for depth, status in ((300, 400), (900, 400), (most, 400), (most + 1, 413)):
        body = body_of(name, depth)
        answer = port.client.post("/v1/chat/completions", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == status, (depth, answer.status_code, answer.text[:200])
        assert "error" in answer.json()


def body_of(name: str, depth: int) -> str:
    """The field of this name holds an object that is nested so deep."""
    deep = '{"a":' * depth + "1" + "}" * depth
    values = {
        "tools": f'[{{"type": "function", "function": {{"name": "f", "parameters": {deep}}}}}]',
        "response_format": f'{{"type": "json_schema", "json_schema": {{"name": "x", "schema": {deep}}}}}',
        "messages": f'[{{"role": "user", "content": {deep}}}]',
    }
    rest = '"messages": [{"role": "user", "content": "Hi"}], ' if name != "messages" else ""
    return f'{{"model": "quick", {rest}"{name}": {values[name]}}}'
