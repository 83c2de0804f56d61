"""/v1/messages as Anthropic's clients know it."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from app.server.anthropic.fields import MessagesRequest
from backends.protocol import Message, ToolCall

Says = Callable[[str], str]


def message(port: Any, text: str, **fields: Any) -> httpx.Response:
    body = {"model": "quick", "max_tokens": 500, "messages": [{"role": "user", "content": text}], **fields}
    response: httpx.Response = port.post("messages", **body)
    return response


def events(text: str) -> list[tuple[str, dict[str, Any]]]:
    parts = [part.split("\n") for part in text.strip().split("\n\n")]
    return [(kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for kind, data in parts]


def test_a_message_is_answered_in_blocks(port: Any, says: Says) -> None:
    answer = message(port, "Hello").json()
    assert answer["id"].startswith("msg_")
    assert (answer["type"], answer["role"], answer["model"]) == ("message", "assistant", "quick")
    assert answer["content"] == [{"type": "text", "text": says("Hello")}]
    assert (answer["stop_reason"], answer["stop_sequence"]) == ("end_turn", None)
    usage = answer["usage"]
    assert usage["output_tokens"] == len(says("Hello").encode()) + 1
    assert usage["input_tokens"] + usage["cache_read_input_tokens"] == len("user: Hello\n") + 1


def test_a_stream_has_its_events_in_order(port: Any, says: Says) -> None:
    told = events(message(port, "Héllo", stream=True).text)
    kinds = [kind for kind, _ in told]
    assert kinds[:3] == ["message_start", "ping", "content_block_start"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert set(kinds[3:-3]) == {"content_block_delta"}
    assert all(data["type"] == kind for kind, data in told)
    assert "".join(data["delta"]["text"] for kind, data in told[3:-3]) == says("Héllo")
    assert told[0][1]["message"]["content"] == []
    assert told[-2][1]["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}
    assert told[-2][1]["usage"]["output_tokens"] == len(says("Héllo").encode()) + 1


@pytest.mark.parametrize(
    ("fields", "reason", "sequence"),
    [
        ({"max_tokens": 3}, "max_tokens", None),
        ({"stop_sequences": ["zzz", " engine"]}, "stop_sequence", " engine"),
    ],
)
def test_why_it_stopped(port: Any, fields: dict[str, Any], reason: str, sequence: str | None) -> None:
    answer = message(port, "Hello", **fields).json()
    assert (answer["stop_reason"], answer["stop_sequence"]) == (reason, sequence)


def test_tokens_are_counted_without_an_answer(port: Any) -> None:
    body = {"model": "quick", "system": "Be brief.", "messages": [{"role": "user", "content": "Hello"}]}
    counted = port.post("messages/count_tokens", **body).json()
    assert counted == {"input_tokens": len("system: Be brief.\nuser: Hello\n") + 1}


def test_blocks_become_the_protocols_messages() -> None:
    request = MessagesRequest.model_validate(
        {
            "model": "m",
            "max_tokens": 5,
            "system": [{"type": "text", "text": "Be"}, {"type": "text", "text": "brief."}],
            "messages": [
                {"role": "user", "content": "1 + 1?"},
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "Let me see.", "signature": "x"},
                        {"type": "text", "text": "I add."},
                        {"type": "tool_use", "id": "t1", "name": "add", "input": {"a": "ü"}},
                    ],
                },
                {
                    "role": "user",
                    "content": [
                        {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "2"}]},
                        {"type": "text", "text": "So?"},
                    ],
                },
            ],
        }
    )
    assert request.prompt() == (
        Message("system", "Be\nbrief."),
        Message("user", "1 + 1?"),
        Message("assistant", "I add.", (ToolCall("t1", "add", '{"a": "ü"}'),), reasoning="Let me see."),
        Message("tool", "2", tool_call_id="t1"),
        Message("user", "So?"),
    )


IMAGE = {"type": "image", "source": {"type": "url", "url": "http://127.0.0.1/x.png"}}


def test_results_within_results_are_refused(port: Any) -> None:
    depth = 300  # more than a validator may call itself, fewer than JSON may be nested
    result = '{"type": "tool_result", "tool_use_id": "a", "content": [' * depth + "]}" * depth
    body = f'{{"model": "quick", "max_tokens": 1, "messages": [{{"role": "user", "content": [{result}]}}]}}'
    answer = port.client.post("/v1/messages", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert "no other tool_result" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("fields", "status", "kind"),
    [
        ({"model": "claude-9"}, 404, "not_found_error"),
        ({"temperature": -1}, 400, "invalid_request_error"),
        ({"max_tokens": None}, 400, "invalid_request_error"),
        ({"messages": []}, 400, "invalid_request_error"),
        ({"messages": [{"role": "user", "content": [IMAGE]}]}, 400, "invalid_request_error"),
        ({"tools": [{"name": "bash", "type": "bash_20250124"}]}, 400, "invalid_request_error"),
        ({"tool_choice": {"type": "any"}}, 400, "invalid_request_error"),
        ({"messages": [{"role": "user", "content": "x" * 5000}]}, 400, "invalid_request_error"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_refusals_have_its_shape(port: Any, fields: dict[str, Any], status: int, kind: str, stream: bool) -> None:
    response = message(port, "Hello", **{"stream": stream, **fields})
    assert response.status_code == status
    body = response.json()
    assert (body["type"], body["error"]["type"]) == ("error", kind)
    assert body["error"]["message"]


def test_the_guard_speaks_its_shape_too_and_takes_its_header_for_the_key(port: Any) -> None:
    server = type(port.server)(port.server._directory)
    url = server.start(port=0, api_key="sk-right")
    try:
        with httpx.Client(base_url=url) as client:
            body = {"model": "quick", "max_tokens": 1, "messages": [{"role": "user", "content": "Hi"}]}
            refused = client.post("/v1/messages", json=body, headers={"x-api-key": "sk-wrong"})
            assert (refused.status_code, refused.json()["error"]["type"]) == (401, "authentication_error")
            assert client.post("/v1/messages", json=body, headers={"x-api-key": "sk-right"}).status_code == 200
    finally:
        server.stop()


def test_a_death_in_a_stream_is_an_event(run: Any) -> None:
    with run(quick="quick") as port:
        kind, data = events(message(port, "!kill", stream=True).text)[-1]
    assert (kind, data["error"]["type"]) == ("error", "overloaded_error")
    assert "stopped" in data["error"]["message"]
