"""Fields that no table has: a misspelt one is refused, of the others the answer's header tells."""

from typing import Any

import pytest

from app.server.core.unknown import MAX_TOLD, header

HEADER = "x-slipstream-ignored"
HI = [{"role": "user", "content": "Hi"}]
ROUTES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"model": "quick", "messages": HI, "max_completion_tokens": 1},
    "/v1/completions": {"model": "quick", "prompt": "Hi", "max_completion_tokens": 1},
    "/v1/responses": {"model": "quick", "input": "Hi", "max_output_tokens": 1},
    "/v1/embeddings": {"model": "quick", "input": "Hi"},
    "/v1/messages": {"model": "quick", "messages": HI, "max_tokens": 1},
    "/api/chat": {"model": "quick", "messages": HI, "stream": False, "options": {"num_predict": 1}},
    "/completion": {"model": "quick", "prompt": "Hi", "max_completion_tokens": 1},
}


@pytest.mark.parametrize(
    ("path", "fields", "param", "near"),
    [
        ("/v1/chat/completions", {"max_token": 1}, "max_token", "max_tokens"),
        ("/v1/chat/completions", {"temprature": 1}, "temprature", "temperature"),
        ("/v1/chat/completions", {"top-p": 1}, "top-p", "top_p"),
        ("/v1/chat/completions", {"responseFormat": {}}, "responseFormat", "response_format"),
        ("/v1/chat/completions", {"web_search_option": {}}, "web_search_option", "web_search_options"),
        ("/v1/completions", {"Logprobs": 1}, "Logprobs", "logprobs"),
        ("/v1/responses", {"previous_response": "x"}, "previous_response", "previous_response_id"),
        ("/v1/embeddings", {"dimension": 1}, "dimension", "dimensions"),
        ("/v1/messages", {"stop_sequence": []}, "stop_sequence", "stop_sequences"),
        ("/api/chat", {"format_": "json"}, "format_", "format"),
        ("/api/chat", {"options": {"num_predicts": 1}}, "options.num_predicts", "num_predict"),
        ("/completion", {"n_probes": 1}, "n_probes", "n_probs"),
        (
            "/v1/chat/completions",
            {"tools": [{"type": "function", "function": {"name": "f", "parameter": {}}}]},
            "tools[0].function.parameter",
            "parameters",
        ),
        (
            "/v1/messages",
            {"thinking": {"type": "enabled", "budget_token": 5}},
            "thinking.budget_token",
            "budget_tokens",
        ),
        ("/v1/responses", {"reasoning": {"efforts": "low"}}, "reasoning.efforts", "effort"),
    ],
    ids=str,
)
def test_a_misspelt_field_is_refused_with_the_one_that_is_near(
    port: Any, path: str, fields: dict[str, Any], param: str, near: str
) -> None:
    response = port.client.post(path, json=ROUTES[path] | fields)
    assert response.status_code == 400
    assert f"{param}: there is no such field. Near it is {near}" in response.text


@pytest.mark.parametrize("path", ROUTES)
def test_what_is_left_out_is_told(port: Any, path: str) -> None:
    assert HEADER not in port.client.post(path, json=ROUTES[path]).headers
    response = port.client.post(path, json=ROUTES[path] | {"foo": 1, "b\u00e4r\r\nx: y": 2})
    assert response.status_code == 200, response.text
    assert response.headers[HEADER] == "foo, b?r??x??y"
    assert "x" not in response.headers


def test_a_stream_and_a_refusal_tell_it_too(port: Any) -> None:
    with port.stream("Hi", max_tokens=1, foo=1) as stream:
        assert stream.response.headers[HEADER] == "foo"
        list(stream)
    assert port.chat("Hi", foo=1, top_k="x").headers[HEADER] == "foo"


def test_a_field_that_is_there_was_not_misspelt_beside_it(port: Any) -> None:
    response = port.chat("Hi", model="quick", max_tokens=1, models=["quick"], max_token=2)
    assert (response.status_code, response.headers[HEADER]) == (200, "models, max_token")


def test_near_what_is_ignored_nothing_is_refused(port: Any) -> None:
    response = port.chat("Hi", max_tokens=1, meta_data={})
    assert (response.status_code, response.headers[HEADER]) == (200, "meta_data")


def test_the_header_is_bounded(port: Any) -> None:
    response = port.chat("Hi", max_tokens=1, **{f"{number}{'x' * 1000}": 1 for number in range(3000)})
    assert response.status_code == 200
    names = response.headers[HEADER].split(", ")
    assert len(names) == MAX_TOLD + 1
    assert names[-1] == "..."
    assert max(map(len, names)) == 40
    assert header([""]) == b"?"


@pytest.mark.parametrize(
    "fields",
    [
        {"guided_json": {"type": "object"}, "guided_decoding_backend": "auto"},
        {"guided_grammar": 'root ::= "a"'},
        {"min_tokens": 0, "skip_special_tokens": True, "priority": 1, "request_id": "x", "stop_token_ids": []},
    ],
    ids=str,
)
def test_vllms_fields_are_done_or_harmless(port: Any, fields: dict[str, Any]) -> None:
    response = port.chat("Hi", max_tokens=1, **fields)
    assert response.status_code == 200, response.text
    assert HEADER not in response.headers
