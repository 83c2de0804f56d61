"""Whatever is wrong with a request, the answer has OpenAI's shape and one clear sentence."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest

from tests.server.deep import deepest

JSON = {"content-type": "application/json"}
OPENINGS = {'{"not":': "}", "[": "]"}  # of a level of a schema, and how it closes


def error_of(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status
    error: dict[str, Any] = response.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert error["message"]
    assert error["type"] == ("server_error" if status >= 500 else "invalid_request_error")
    return error


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"{'a': 1}", b"\xff\xfe", b"nul", b'{"a":' + b"9" * 5000 + b"}", b"[" * 100_000],
    ids=["empty", "cut", "quotes", "bytes", "word", "number", "depth"],
)
def test_a_body_that_is_no_json_is_400(port: Any, body: bytes) -> None:
    error_of(port.client.post("/v1/chat/completions", content=body, headers=JSON), 400)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": "Hi"}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "king", "content": "Hi"}]}, "messages[0].role"),
        ({"messages": [{"content": "Hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": "\ud800"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "\ud800"}]}]}, "messages[0].content"),
        ({"stop": "\ud800"}, "stop"),
        ({"model": "\ud800"}, "model"),
        ({"messages": [{"role": "\ud800", "content": "Hi"}]}, "messages[0].role"),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": {"\ud800": 1}}}}, "response_format"),
        ({"json_schema": {"title": "\ud800"}}, "json_schema"),
        ({"grammar": "\ud800"}, "grammar"),
        ({"dry_sequence_breakers": ["\ud800"]}, "dry_sequence_breakers"),
        ({"model": "x" * 100_000}, "model"),
        ({"temperature": "hot"}, "temperature"),
        ({"max_tokens": -2}, "max_tokens"),
        ({"stop": [1]}, "stop"),
        ({"stream_options": {"include_usage": "yes"}}, "stream_options.include_usage"),
    ],
)
def test_a_wrong_type_is_400_and_named(port: Any, fields: dict[str, Any], param: str) -> None:
    body = {"messages": [{"role": "user", "content": "Hi"}], **fields}
    content = json.dumps(body)
    error = error_of(port.client.post("/v1/chat/completions", content=content, headers=JSON), 400)
    assert error["param"] == param
    assert param in error["message"]


def test_a_list_for_a_body_is_400(port: Any) -> None:
    error = error_of(port.client.post("/v1/chat/completions", json=[]), 400)
    assert error["message"] == "The body is no JSON object."


def test_what_is_wrong_is_said_in_words_of_the_field(port: Any) -> None:
    def message(**fields: Any) -> str:
        body = {"messages": [{"role": "user", "content": "Hi"}], **fields}
        return str(error_of(port.client.post("/v1/chat/completions", json=body), 400)["message"])

    assert message(messages=[]) == "messages: at least 1 is needed, and 0 came."
    unnamed = {"type": "json_schema", "schema": {"type": "object"}}
    assert "json_schema with a schema in it" in message(response_format=unnamed)
    tools = [{"type": "function", "function": {"name": "near"}}]
    choice = {"type": "function", "function": {"name": "far"}}
    assert "“far”" in message(tools=tools, tool_choice=choice)


@pytest.mark.parametrize("depth", [65, 100, 500, 900, 930, 960, 990, 2000])
@pytest.mark.parametrize("opening", OPENINGS)
def test_a_deep_schema_is_refused(port: Any, depth: int, opening: str) -> None:
    error_of(port.client.post("/v1/chat/completions", content=of_depth(depth, opening), headers=JSON), 400)


@pytest.mark.parametrize("opening", OPENINGS)
def test_the_deepest_schema_that_is_read_is_refused_and_a_deeper_one_is_not_read(port: Any, opening: str) -> None:
    most = deepest(lambda depth: of_depth(depth, opening))
    for depth, status in ((most, 400), (most + 1, 413)):
        error_of(port.client.post("/v1/chat/completions", content=of_depth(depth, opening), headers=JSON), status)


def of_depth(depth: int, opening: str) -> str:
    """A body whose schema is nested so deep."""
    schema = '{"a":' + opening * depth + "1" + OPENINGS[opening] * depth + "}"
    return f'{{"messages":[{{"role":"user","content":"Hi"}}],"json_schema":{schema}}}'


def test_a_schema_of_usual_depth_is_taken(port: Any) -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(20):
        schema = {"type": "object", "properties": {"a": schema}}
    assert port.chat("Hi", json_schema=schema).status_code != 400


@pytest.mark.parametrize("kind", ["\ud800", "x" * 100_000, "a\x00b"])
def test_a_part_of_an_odd_type_is_refused_in_a_short_sentence(port: Any, kind: str) -> None:
    content = json.dumps({"messages": [{"role": "user", "content": [{"type": kind}]}]})
    error = error_of(port.client.post("/v1/chat/completions", content=content, headers=JSON), 400)
    assert len(error["message"]) < 300


@pytest.mark.parametrize("path", ["/v1/" + "x" * 10_000, "/%ed%a0%80", "/v1/models/" + "y" * 10_000, "/v1/models/%00"])
def test_a_long_or_odd_path_is_not_repeated(port: Any, path: str) -> None:
    assert len(error_of(port.client.get(path), 404)["message"]) < 300


@pytest.mark.parametrize("kind", ["image_url", "input_audio", "file"])
def test_parts_that_are_not_text_are_refused_by_name(port: Any, kind: str) -> None:
    messages = [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, {"type": kind}]}]
    error = error_of(port.post("chat/completions", messages=messages), 400)
    assert kind in error["message"]
    assert ("image input is not supported" in error["message"]) is (kind == "image_url")
    assert error["param"] == "messages[0].content"


def test_more_than_eight_choices_are_refused(port: Any) -> None:
    error = error_of(port.chat("Hi", n=9), 400)
    assert error["param"] == "n"


@pytest.mark.parametrize("stream", [False, True])
def test_an_unknown_model_is_404(port: Any, stream: bool) -> None:
    error = error_of(port.chat("Hi", model="gpt-9", stream=stream), 404)
    assert error["code"] == "model_not_found"
    assert "gpt-9" in error["message"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_longer_than_the_context_is_400_with_both_numbers(port: Any, stream: bool) -> None:
    error = error_of(port.chat("x" * 5000, model="quick", stream=stream), 400)
    assert error["code"] == "context_length_exceeded"
    assert "4096" in error["message"]
    assert "5008" in error["message"]


def test_token_ids_that_the_model_does_not_have_are_400(port: Any) -> None:
    error_of(port.post("completions", prompt=[100_000]), 400)


def test_an_unknown_route_is_404_and_a_wrong_method_405(port: Any) -> None:
    error_of(port.client.get("/v1/nope"), 404)
    error_of(port.client.get("/v1/models/"), 404)
    error_of(port.client.post("/v1/nope", json={}), 404)
    response = port.client.get("/v1/chat/completions")
    assert "It takes POST." in error_of(response, 405)["message"]
    assert response.headers["allow"] == "POST, OPTIONS"
    error_of(port.client.post("/v1/models", json={}), 405)


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("/v1/chat/completion", "/v1/chat/completions"),
        ("/v1/v1/chat/completions", "/v1/chat/completions"),
        ("/api/generat", "/api/generate"),
        ("/xyzzy", None),
    ],
)
def test_an_unknown_route_is_told_with_the_one_that_it_is_like(port: Any, path: str, near: str | None) -> None:
    error = port.client.post(path, json={}).json()["error"]
    message = error if isinstance(error, str) else error["message"]
    assert message == f"There is no route {path} here." + (f" Near it: {near}." if near else "")


def test_who_asks_at_the_root_hears_that_the_port_is_there(port: Any) -> None:
    """`ollama` asks so before anything else, and people's browsers."""
    assert port.client.head("/").status_code == 200
    assert port.client.get("/").text == "Slipstream is running. What it offers: /openapi.json"


OFFERED = {
    "/v1/models": "GET, OPTIONS",
    "/v1/chat/completions": "POST, OPTIONS",
    "/lora-adapters": "GET, POST, OPTIONS",  # two routes
    "/v1/responses/resp_1": "DELETE, GET, OPTIONS",
}


def test_head_is_answered_like_get_without_a_body_and_options_with_the_methods(port: Any) -> None:
    for path in ("/v1/models", "/health", "/v1/models/quick"):
        head, got = port.client.head(path), port.client.get(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(got.content))
    assert port.client.head("/v1/nope").status_code == 404
    for path, methods in OFFERED.items():
        options = port.client.options(path)
        assert (options.status_code, options.headers["allow"]) == (204, methods)
    error_of(port.client.options("/v1/nope"), 404)


def test_a_body_of_another_type_is_415(port: Any) -> None:
    body = b'{"messages":[{"role":"user","content":"Hi"}]}'
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/json-seq", ""]:
        response = port.client.post("/v1/chat/completions", content=body, headers={"content-type": kind})
        error_of(response, 415)
    charset = {"content-type": "Application/JSON; charset=utf-8"}
    assert port.client.post("/v1/chat/completions", content=body, headers=charset).status_code == 200


def test_a_body_that_is_too_large_is_413_with_and_without_its_length(port: Any) -> None:
    size = 8 * 2**20 + 1
    told = error_of(port.client.post("/v1/chat/completions", content=b" " * size, headers=JSON), 413)
    chunks = (b" " * 2**20 for _ in range(9))
    counted = error_of(port.client.post("/v1/chat/completions", content=chunks, headers=JSON), 413)
    assert told == counted
    assert told["code"] == "body_too_large"


def test_the_models_are_listed_and_found_by_name(port: Any) -> None:
    listed = port.client.get("/v1/models").json()
    assert listed["object"] == "list"
    assert [model["id"] for model in listed["data"]] == ["quick", "slow"]
    assert port.client.get("/v1/models/slow").json() == listed["data"][1]
    error = error_of(port.client.get("/v1/models/a/b.gguf"), 404)
    assert "a/b.gguf" in error["message"]
    assert error["code"] == "model_not_found"


def test_health_and_the_description_of_the_port(port: Any) -> None:
    assert port.client.get("/health").json() == {"status": "ok"}
    paths = port.client.get("/openapi.json").json()["paths"]
    assert {"/v1/models", "/v1/chat/completions", "/v1/completions", "/health"} <= paths.keys()


def test_the_description_tells_of_every_failure_in_the_shape_that_it_has(port: Any) -> None:
    """422 is FastAPI's own, and never sent."""
    paths = port.client.get("/openapi.json").json()["paths"]
    assert {"/v1/messages", "/api/chat", "/completion", "/tokenize"} <= paths.keys()
    operations = {path: each for path, methods in paths.items() for each in methods.values()}
    assert not [path for path, operation in operations.items() if "422" in operation["responses"]]
    for path in operations.keys() - {"/health"}:
        failure = operations[path]["responses"]["4XX"]["content"]["application/json"]["schema"]
        response = port.client.request("PUT", path.replace("{name}", "x"), json={})
        assert response.status_code == 405
        assert response.json().keys() == failure["properties"].keys()


def test_what_a_refusal_looks_like_is_told_at_its_path(port: Any) -> None:
    """Also where a path belongs to another dialect than the rest of its router's."""
    for path, methods in port.client.get("/openapi.json").json()["paths"].items():
        for operation in methods.values():
            if "4XX" in operation["responses"]:
                told = operation["responses"]["4XX"]["content"]["application/json"]["schema"]
                said = port.client.request("PUT", path.replace("{", "").replace("}", ""), json={}).json()
                assert set(told["required"]) <= set(said) <= set(told["properties"]), path
                assert fits(told["properties"]["error"], said["error"]), (path, said)


def test_the_description_tells_bounds_in_the_words_of_json_schema(port: Any) -> None:
    described = port.client.get("/openapi.json")
    schemas = described.json()["components"]["schemas"]
    top_k = next(schema for name, schema in schemas.items() if name.endswith("CompletionRequest"))["properties"][
        "top_k"
    ]
    assert {"type": "integer", "minimum": -1, "maximum": 2**31 - 1} in top_k["anyOf"]
    assert not re.search(r'"(ge|le|gt|lt)":', described.text)
    for each in objects(schemas):
        assert not {"minLength", "maxLength"} & set(each)


def fits(schema: Mapping[str, Any], error: Any) -> bool:
    if schema["type"] == "string":
        return isinstance(error, str)
    return set(schema["required"]) <= set(error) <= set(schema["properties"])


def objects(described: Any) -> Iterator[dict[str, Any]]:
    """All schemas of objects in it."""
    if isinstance(described, dict) and described.get("type") == "object":
        yield described
    inner = described.values() if isinstance(described, dict) else described if isinstance(described, list) else ()
    for each in inner:
        yield from objects(each)
