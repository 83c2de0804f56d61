"""What /openapi.json says of a request's fields together is what the port does with them."""

from collections.abc import Mapping
from typing import Any

import pytest

TYPES: Mapping[str, Any] = {
    "null": type(None),
    "string": str,
    "array": list,
    "object": dict,
    "boolean": bool,
    "number": (int, float),
    "integer": int,
}
CHAT: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
ANSWER: dict[str, Any] = {"prompt": "Hi", "n_predict": 1}
SAID: dict[str, Any] = {"input": "Hi", "max_output_tokens": 1}
CLAUDE: dict[str, Any] = {"model": "quick", "max_tokens": 1}
NEST = {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "tool_result", "tool_use_id": "b"}]}
REASONING = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}]}


def part(schema: Any, name: str, value: Any, root: Any) -> bool:
    match name, schema[name]:
        case "$ref", path:
            return holds(root["components"]["schemas"][path.rpartition("/")[2]], value, root)
        case "anyOf", choices:
            return any(holds(each, value, root) for each in choices)
        case "allOf", conditions:
            return all(holds(each, value, root) for each in conditions)
        case "const", only:
            return type(value) is type(only) and value == only
        case "enum", choices:
            return any(type(value) is type(each) and value == each for each in choices)
        case "type", kinds:
            known = [kinds] if isinstance(kinds, str) else kinds
            is_number = not isinstance(value, bool)
            return any(isinstance(value, TYPES[each]) and (each == "boolean" or is_number) for each in known)
        case "required", names:
            return not isinstance(value, dict) or set(names) <= set(value)
        case "properties", known:
            return not isinstance(value, dict) or all(holds(known[n], value[n], root) for n in known if n in value)
        case "items", each:
            return not isinstance(value, list) or all(holds(each, one, root) for one in value)
        case "contains", each:
            return not isinstance(value, list) or any(holds(each, one, root) for one in value)
        case "minItems", least:
            return not isinstance(value, list) or len(value) >= least
        case "maxItems", most:
            return not isinstance(value, list) or len(value) <= most
        case "minLength", least:
            return not isinstance(value, str) or len(value) >= least
    return True  # the rest of JSON Schema is for Schemathesis: see tests/clients


def holds(schema: Any, value: Any, root: Any) -> bool:
    """As far as the words above reach."""
    return schema if isinstance(schema, bool) else all(part(schema, name, value, root) for name in schema)


BODIES: list[tuple[str, dict[str, Any], bool]] = [
    ("/v1/rerank", {"query": "a"}, False),
    ("/v1/rerank", {"query": "a", "documents": ["b"], "texts": ["b"]}, False),
    ("/tokenize", {"content": "a", "prompt": "a"}, False),
    ("/tokenize", {"content": "a", "prompt": None}, True),
    ("/v1/chat/completions", {**CHAT, "top_logprobs": 1}, False),
    ("/v1/chat/completions", {**CHAT, "top_logprobs": 1, "logprobs": True}, True),
    ("/v1/chat/completions", {**CHAT, "tool_choice": {"type": "function"}}, False),
    ("/v1/chat/completions", {**CHAT, "tool_choice": "required"}, False),
    ("/v1/chat/completions", {**CHAT, "tool_choice": "required", "tools": []}, False),
    ("/v1/chat/completions", {**CHAT, "tool_choice": "auto"}, True),
    ("/v1/chat/completions", {**CHAT, "response_format": {"type": "json_object", "schema": 0}}, False),
    ("/v1/chat/completions", {**CHAT, "response_format": {"type": "json_object", "schema": None}}, True),
    ("/completion", {**ANSWER, "prompt": []}, False),
    ("/completion", {**ANSWER, "prompt": ["a"] * 129}, False),
    ("/completion", {**ANSWER, "prompt": [72, "i"]}, True),
    ("/completion", {**ANSWER, "prompt": {"prompt_string": "Hi", "multimodal_data": []}}, True),
    ("/completion", {**ANSWER, "prompt": {"prompt_string": "Hi", "multimodal_data": {}}}, False),
    ("/completion", {**ANSWER, "prompt": {}}, False),
    ("/completion", {**ANSWER, "logit_bias": [["a"]]}, False),
    ("/completion", {**ANSWER, "logit_bias": {"a": False}}, True),
    ("/v1/responses", {"max_output_tokens": 1}, False),
    ("/v1/responses", {"input": []}, False),
    ("/v1/responses", {**SAID, "previous_response_id": ""}, False),
    ("/v1/responses", {**SAID, "tools": [{"name": "f"}]}, False),
    ("/v1/responses", {**SAID, "tools": [{"type": "function"}]}, False),
    ("/v1/responses", {**SAID, "tools": [{"type": "function", "name": "f"}]}, True),
    ("/v1/responses", {**SAID, "tool_choice": {}}, False),
    ("/v1/responses", {**SAID, "tool_choice": "required"}, False),
    ("/v1/responses", {**SAID, "input": [{"role": "user"}]}, False),
    ("/v1/responses", {**SAID, "input": [REASONING, {"role": "user", "content": "Hi"}]}, True),
    ("/v1/responses", {**SAID, "text": {"format": {"type": "json_schema"}}}, False),
    ("/v1/responses", {**SAID, "text": {"verbosity": "high"}}, False),
    ("/v1/responses", {**SAID, "include": ["x"]}, False),
    ("/v1/messages", {**CLAUDE, "messages": [{"role": "user", "content": [{"type": "text"}]}]}, False),
    ("/v1/messages", {**CLAUDE, "messages": [{"role": "user", "content": [NEST]}]}, False),
    ("/v1/messages", {**CLAUDE, "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]}, True),
]


@pytest.mark.parametrize(("path", "body", "is_good"), BODIES, ids=str)
def test_the_port_takes_what_it_says_and_nothing_else(
    port: Any, path: str, body: dict[str, Any], is_good: bool
) -> None:
    described = port.client.get("/openapi.json").json()
    schema = described["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert holds(schema, body, described) == is_good
    assert port.client.post(path, json={"model": "quick", **body}).status_code == (200 if is_good else 400)
