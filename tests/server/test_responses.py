"""The Responses API as openai-python sees it, and the events and items that it is made of."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from pydantic import ValidationError

from app.server.responses.fields import ResponseRequest
from app.server.responses.items import as_items, messages
from app.server.responses.output_items import OutputItems
from backends.protocol import (
    Arguments,
    CallBegun,
    CallBroken,
    Calling,
    Grammar,
    GrammarKind,
    Message,
    Overflow,
    Text,
    ToolCall,
    ToolChoice,
)
from tests.server.test_anthropic import events
from tests.server.test_tools import ARGUMENTS, CALL, FUNCTION, THOUGHT

TOOL: Any = {"type": "function", "strict": False, **FUNCTION}


@pytest.fixture
def client(port: Any) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{port.server.address}/v1", api_key="none", max_retries=0) as client:
        yield client


def told(port: Any, **fields: Any) -> list[tuple[str, dict[str, Any]]]:
    return events(port.post("responses", model="quick", stream=True, **fields).text)


def test_an_answer_is_kept_listed_and_gone_after_it_is_deleted(client: openai.OpenAI) -> None:
    answer = client.responses.create(model="quick", input="Hi", instructions="Be kind.", metadata={"a": "b"})
    assert answer.output_text.startswith("You said “Hi”.")
    assert (answer.status, answer.instructions, answer.metadata) == ("completed", "Be kind.", {"a": "b"})
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens
    assert client.responses.retrieve(answer.id).output == answer.output
    (item,) = client.responses.input_items.list(answer.id).data
    assert item.model_dump(include={"role", "content"})["content"][0]["text"] == "Hi"
    client.responses.delete(answer.id)
    for ask in (client.responses.retrieve, client.responses.delete, client.responses.input_items.list):
        with pytest.raises(openai.NotFoundError):
            ask(answer.id)


def test_what_is_not_to_be_kept_is_not(client: openai.OpenAI) -> None:
    answer = client.responses.create(model="quick", input="Hi", store=False)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(answer.id)
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(model="quick", input="And now?", previous_response_id=answer.id)
    assert (refused.value.param, refused.value.code) == ("previous_response_id", "previous_response_not_found")


def test_a_stream_can_be_gone_on_from_as_soon_as_it_has_ended(client: openai.OpenAI) -> None:
    with client.responses.stream(model="quick", input="First") as stream:
        said = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        first = stream.get_final_response()
    assert first.output_text == said
    second = client.responses.create(model="quick", input="Second", previous_response_id=first.id)
    assert second.usage is not None
    assert second.usage.input_tokens_details.cached_tokens > 0
    items = client.responses.input_items.list(second.id, order="asc", limit=2)
    texts = [item.model_dump()["content"][0]["text"] for item in items]
    assert texts == ["First", said, "Second"], "page by page"


def test_a_stream_tells_of_its_prompt_and_its_speed_where_that_is_asked_for(port: Any) -> None:
    said = told(port, input="A question for you. " * 20, return_progress=True, timings_per_token=True)
    assert [data["sequence_number"] for _, data in said] == list(range(len(said)))
    assert [kind for kind, _ in said[:2]] == ["response.created", "response.in_progress"]
    progress = [data["prompt_progress"] for kind, data in said if "prompt_progress" in data]
    assert progress
    assert progress[-1]["processed"] <= progress[-1]["total"]
    counts = [data["timings"]["predicted_n"] for kind, data in said if kind == "response.output_text.delta"]
    assert counts == sorted(counts)
    assert said[-1][1]["timings"] == said[-1][1]["response"]["timings"]
    plain = told(port, input="Hi")
    assert not any("timings" in data or "prompt_progress" in data for _, data in plain)


def test_events_come_in_openais_order_and_add_up(port: Any) -> None:
    said = told(port, input=f"!think {CALL}", tools=[TOOL])
    assert [data["sequence_number"] for _, data in said] == list(range(len(said)))
    assert all(kind == data["type"] for kind, data in said)
    kinds = [kind.removeprefix("response.") for kind, _ in said if not kind.endswith(".delta")]
    text = ["output_item.added", "content_part.added", "output_text.done", "content_part.done", "output_item.done"]
    thoughts = [kind.replace("output_text", "reasoning_text") for kind in text]
    call = ["output_item.added", "function_call_arguments.done", "output_item.done"]
    assert kinds == ["created", "in_progress", *thoughts, *text, *call, *text, "completed"]
    response = said[-1][1]["response"]
    done = [data["item"] for kind, data in said if kind == "response.output_item.done"]
    assert done == response["output"]
    assert [item["type"] for item in done] == ["reasoning", "message", "function_call", "message"]
    assert done[0]["content"] == [{"type": "reasoning_text", "text": THOUGHT}]
    assert json.loads(done[2]["arguments"]) == ARGUMENTS
    deltas = [
        data["delta"] for kind, data in said if kind == "response.output_text.delta" and data["output_index"] == 1
    ]
    assert "".join(deltas) == done[1]["content"][0]["text"]
    assert response["usage"]["output_tokens_details"]["reasoning_tokens"] >= len(THOUGHT)


def test_a_streamed_answer_and_a_whole_one_are_the_same(port: Any) -> None:
    body = {"input": f"!think {CALL}", "tools": [TOOL], "top_logprobs": 2}
    whole = port.post("responses", model="quick", **body).json()
    streamed = told(port, **body)[-1][1]["response"]

    def bare(response: dict[str, Any]) -> dict[str, Any]:
        items = [{**item, "id": None, "call_id": None} for item in response["output"]]
        return {**response, "output": items} | dict.fromkeys(("id", "timings", "usage", "created_at", "completed_at"))

    assert bare(whole) == bare(streamed)
    for item in whole["output"]:
        if item["type"] == "message":
            (part,) = item["content"]
            spelled = b"".join(bytes(token["bytes"]) for token in part["logprobs"])
            assert spelled.decode() == part["text"], "thoughts and calls have tokens of their own"


def test_thoughts_are_a_summary_where_one_is_wanted(port: Any) -> None:
    said = told(port, input="!think", reasoning={"summary": "auto"})
    assert "response.reasoning_summary_text.delta" in {kind for kind, _ in said}
    assert said[-1][1]["response"]["output"][0]["summary"] == [{"type": "summary_text", "text": THOUGHT}]


def test_a_cut_answer_is_incomplete(port: Any) -> None:
    kind, data = told(port, input="Hi", max_output_tokens=5)[-1]
    response = data["response"]
    assert (kind, response["status"]) == ("response.incomplete", "incomplete")
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}
    assert response["output"][0]["status"] == "incomplete"


def test_a_death_in_the_middle_is_told_as_a_failed_response(run: Any) -> None:
    with run(quick="quick") as port:
        kind, data = told(port, input="!crash")[-1]
    assert (kind, data["response"]["status"]) == ("response.failed", "failed")
    assert data["response"]["error"]["message"]


def test_a_tool_is_called_and_its_result_answered(client: openai.OpenAI) -> None:
    first = client.responses.create(model="quick", input=CALL, tools=[TOOL])
    (call,) = [item for item in first.output if item.type == "function_call"]
    result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "21"}
    second = client.responses.create(model="quick", input=[result], tools=[TOOL], previous_response_id=first.id)
    assert second.output_text
    assert [item.type for item in client.responses.input_items.list(second.id, order="asc").data] == [
        *("message", "message", "function_call", "message", "function_call_output")
    ]


def test_items_can_be_named_instead_of_sent(port: Any) -> None:
    first = port.post("responses", model="quick", input="Hi").json()
    reference = {"type": "item_reference", "id": first["output"][0]["id"]}
    items = [{"role": "user", "content": "Hi"}, reference, {"role": "user", "content": "And?"}]
    second = port.post("responses", model="quick", input=items).json()
    assert second["usage"]["input_tokens_details"]["cached_tokens"] > 0
    unknown = port.post("responses", model="quick", input=[{"type": "item_reference", "id": "msg_0"}])
    assert (unknown.status_code, unknown.json()["error"]["param"]) == (404, "input")


def test_tokens_are_counted_without_an_answer(client: openai.OpenAI) -> None:
    answer = client.responses.create(model="quick", input="Hi")
    assert answer.usage is not None
    assert client.responses.input_tokens.count(model="quick", input="Hi").input_tokens == answer.usage.input_tokens


def test_what_only_began_like_a_call_is_text_and_nobody_makes_it() -> None:
    items = OutputItems()
    parts = (Text("So: "), CallBegun(0, "c", "f"), Arguments(0, '{"a":'), CallBroken(0, '<tool_call>{"a":!'))
    said = [event for part in parts for event in items.say(part, [])] + items.close("completed")
    assert [item["type"] for item in items.told()] == ["message", "message"]
    assert items.told()[1]["content"][0]["text"] == '<tool_call>{"a":!'
    done = [data["item"] for kind, data in said if kind == "response.output_item.done"]
    assert [(item["type"], item["status"]) for item in done] == [
        *(("message", "completed"), ("function_call", "incomplete"), ("message", "completed"))
    ]


def request(**fields: Any) -> ResponseRequest:
    return ResponseRequest.model_validate({"input": "Hi", **fields})


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"text": {"format": {"type": "text"}}}, {"grammar": None}),
        (
            {"text": {"format": {"type": "json_object"}}},
            {"grammar": Grammar(GrammarKind.JSON_SCHEMA, '{"type": "object"}')},
        ),
        (
            {"text": {"format": {"type": "json_schema", "name": "a", "schema": {"enum": [1]}}}},
            {"grammar": Grammar(GrammarKind.JSON_SCHEMA, '{"enum": [1]}'), "is_parsed": False},
        ),
        ({"truncation": "auto"}, {"overflow": Overflow.ROLL}),
        ({"include": ["message.output_text.logprobs"]}, {"logprobs": 0}),
        ({"top_logprobs": 3}, {"logprobs": 3}),
        ({"max_output_tokens": 7}, {"max_tokens": 7}),
        ({"reasoning": {"effort": "none"}}, {"template_options": (("enable_thinking", False), ("thinking", False))}),
        (
            {"tools": [TOOL], "tool_choice": {"type": "function", "name": "get_weather"}, "parallel_tool_calls": False},
            {"tool_choice": ToolChoice(Calling.REQUIRED, "get_weather", is_parallel=False)},
        ),
        (
            {
                "tools": [TOOL],
                "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "x"}]},
            },
            {"tools": ()},
        ),
        ({"instructions": "Be kind."}, {"prompt": (Message("system", "Be kind."), Message("user", "Hi"))}),
    ],
)
def test_given_fields_reach_the_engine(fields: dict[str, Any], wanted: dict[str, Any]) -> None:
    body = request(**fields)
    made = body.generate((), body.input)
    assert {name: getattr(made, name) for name in wanted} == wanted


def test_thoughts_words_and_calls_that_follow_one_another_are_one_turn() -> None:
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    items = [
        {"role": "developer", "content": "Be kind."},
        {"role": "user", "content": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]},
        {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Let me see."}]},
        call,
        {**call, "call_id": "d"},
        {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "1"}]},
        {"type": "function_call_output", "call_id": "d", "output": "2"},
        {"role": "assistant", "content": "3"},
        {"role": "assistant", "content": "4"},
    ]
    assert messages(as_items(items)) == (
        Message("system", "Be kind."),
        Message("user", "a\nb"),
        Message("assistant", "Let me see.", (ToolCall("c", "f", "{}"), ToolCall("d", "f", "{}")), reasoning="hm"),
        Message("tool", "1", tool_call_id="c"),
        Message("tool", "2", tool_call_id="d"),
        Message("assistant", "3"),
        Message("assistant", "4"),
    )


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": 5}, "input"),
        ({"input": [{"role": "robot", "content": "x"}]}, "input"),
        ({"input": [{"type": "computer_call", "id": "x"}]}, "input"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "http://x"}]}]}, "input_image"),
        ({"input": [{"type": "function_call", "name": "x"}]}, "call_id"),
        ({"input": [{"type": "reasoning", "summary": [{"type": ["x"]}]}]}, "summary"),
        ({"input": "\ud800"}, "input"),
        ({"tools": [{"type": "web_search"}]}, "web_search"),
        ({"tools": [TOOL], "tool_choice": {"type": "web_search"}}, "tool_choice"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"text": {"format": {"type": "json_schema"}}}, "schema"),
        ({"text": {"verbosity": "low"}}, "verbosity"),
        ({"include": ["everything"]}, "everything"),
        ({"metadata": {"a": 5}}, "metadata"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"background": True}, "waited"),
        ({"truncation": "middle"}, "truncation"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        request(**fields)
