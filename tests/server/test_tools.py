"""Tools, calls and thoughts in the words of each dialect."""

import json
from collections.abc import Iterable
from typing import Any

import pytest
from pydantic import ValidationError

from app.server.anthropic.fields import CountRequest, MessagesRequest
from app.server.ollama.fields import ChatRequest as OllamaRequest
from app.server.openai.chat import ChatRequest
from app.server.responses.fields import ResponseRequest
from backends.protocol import Calling, Generate, Grammar, GrammarKind, Tool, ToolChoice
from tests.server.test_anthropic import events

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
FUNCTION = {"name": "get_weather", "description": "Tells the weather.", "parameters": SCHEMA}
TOOLS = [{"type": "function", "function": FUNCTION}]
BLOCK_TOOLS = [{"name": "get_weather", "description": "Tells the weather.", "input_schema": SCHEMA}]
TOOL = Tool("get_weather", "Tells the weather.", json.dumps(SCHEMA))
ARGUMENTS = {"city": "Łódź"}
CALL = f'<tool_call>{{"name": "get_weather", "arguments": {json.dumps(ARGUMENTS, ensure_ascii=False)}}}</tool_call>'
THOUGHT = "Let me see."  # of the fake model
TURNS = [{"role": "user", "content": "Hi"}]


def deltas(port: Any, text: str, **fields: Any) -> list[dict[str, Any]]:
    with port.stream(text, model="quick", **fields) as stream:
        return [choice for chunk in stream for choice in chunk["choices"]]


def joined(pieces: Iterable[str | None]) -> str:
    return "".join(piece or "" for piece in pieces)


def test_a_call_is_no_text(port: Any) -> None:
    (choice,) = port.chat(CALL, model="quick", tools=TOOLS).json()["choices"]
    assert choice["finish_reason"] == "tool_calls"
    (call,) = choice["message"]["tool_calls"]
    assert (call["type"], call["function"]["name"]) == ("function", "get_weather")
    assert call["id"]
    assert json.loads(call["function"]["arguments"]) == ARGUMENTS
    assert "tool_call" not in choice["message"]["content"]


def test_a_streamed_call_has_its_name_first_and_its_arguments_in_pieces(port: Any) -> None:
    choices = deltas(port, CALL, tools=TOOLS)
    calls = [call for choice in choices for call in choice["delta"].get("tool_calls", ())]
    first, *others = calls
    assert (first["index"], first["type"], first["function"]["name"]) == (0, "function", "get_weather")
    assert first["id"]
    assert len(others) > 1
    assert all(set(call) == {"index", "function"} for call in others)
    assert json.loads(joined(call["function"]["arguments"] for call in calls)) == ARGUMENTS
    assert "tool_call" not in joined(choice["delta"].get("content") for choice in choices)
    assert choices[-1]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize("value", [r'"\ud83d"', "1e999"])
@pytest.mark.parametrize("streams", [False, True])
def test_values_that_cannot_be_sent_break_no_answer(port: Any, value: str, streams: bool) -> None:
    text = CALL.replace(json.dumps(ARGUMENTS["city"], ensure_ascii=False), value)
    turns = {"model": "quick", "stream": streams, "messages": [{"role": "user", "content": text}]}
    answers = (
        port.post("chat/completions", **turns, tools=TOOLS),
        port.post("messages", **turns, tools=BLOCK_TOOLS, max_tokens=500),
        port.client.post("/api/chat", json={**turns, "tools": TOOLS}),
    )
    for answer in answers:
        assert answer.status_code == 200
        assert not any(word in answer.text for word in ("Infinity", "error of its own"))


@pytest.mark.parametrize("fields", [{}, {"tools": TOOLS, "tool_choice": "none"}])
def test_what_looks_like_a_call_is_text_where_none_is_offered(port: Any, fields: dict[str, Any]) -> None:
    (choice,) = port.chat(CALL, model="quick", **fields).json()["choices"]
    assert CALL in choice["message"]["content"]
    assert choice["finish_reason"] == "stop"


def test_one_call_is_told_where_one_is_wanted(port: Any) -> None:
    (choice,) = port.chat(CALL + CALL, model="quick", tools=TOOLS).json()["choices"]
    assert len(choice["message"]["tool_calls"]) == 2
    one = {"tools": TOOLS, "parallel_tool_calls": False}
    (choice,) = port.chat(CALL + CALL, model="quick", **one).json()["choices"]
    assert len(choice["message"]["tool_calls"]) == 1
    calls = [call for choice in deltas(port, CALL + CALL, **one) for call in choice["delta"].get("tool_calls", ())]
    assert {call["index"] for call in calls} == {0}


def test_functions_are_called_by_their_old_name(port: Any) -> None:
    (choice,) = port.chat(CALL, model="quick", functions=[FUNCTION]).json()["choices"]
    called = choice["message"]["function_call"]
    assert (called["name"], json.loads(called["arguments"])) == ("get_weather", ARGUMENTS)
    assert choice["finish_reason"] == "function_call"
    assert "tool_calls" not in choice["message"]
    choices = deltas(port, CALL, functions=[FUNCTION])
    pieces = [choice["delta"]["function_call"] for choice in choices if "function_call" in choice["delta"]]
    assert pieces[0]["name"] == "get_weather"
    assert json.loads(joined(piece["arguments"] for piece in pieces)) == ARGUMENTS


def test_thoughts_are_told_apart_under_both_names(port: Any) -> None:
    (choice,) = port.chat("!think", model="quick").json()["choices"]
    message = choice["message"]
    assert message["reasoning_content"] == message["reasoning"] == THOUGHT
    assert message["content"].startswith("You said")
    choices = deltas(port, "!think")
    assert joined(choice["delta"].get("reasoning_content") for choice in choices) == THOUGHT
    assert joined(choice["delta"].get("content") for choice in choices) == message["content"]


def test_a_stream_begins_with_a_content_only_where_a_text_comes_first(port: Any) -> None:
    first = [deltas(port, text, tools=TOOLS)[0]["delta"] for text in ("Hi", "!think")]
    assert [delta["content"] for delta in first] == ["", None]
    assert all(delta["role"] == "assistant" for delta in first)
    (nothing, _) = deltas(port, "Hi", max_tokens=0)
    assert nothing["delta"]["role"] == "assistant"


def test_tokens_of_thoughts_are_counted(port: Any) -> None:
    usage = port.chat("!think", model="quick").json()["usage"]
    thoughts = usage["completion_tokens_details"]["reasoning_tokens"]
    assert len(THOUGHT) <= thoughts < usage["completion_tokens"]
    assert port.chat("Hi", model="quick").json()["usage"]["completion_tokens_details"]["reasoning_tokens"] == 0


def test_thoughts_stay_in_the_content_where_that_is_asked_for(port: Any) -> None:
    (choice,) = port.chat("!think", model="quick", reasoning_format="none").json()["choices"]
    assert choice["message"]["content"].startswith(f"<think>{THOUGHT}</think>")


def test_blocks_of_a_message(port: Any) -> None:
    body = {"model": "quick", "max_tokens": 500, "messages": [{"role": "user", "content": f"!think {CALL}"}]}
    answer = port.post("messages", **body, tools=BLOCK_TOOLS).json()
    thought, text, call = answer["content"]
    assert thought == {"type": "thinking", "thinking": THOUGHT, "signature": ""}
    assert text["type"] == "text"
    assert (call["type"], call["name"], call["input"]) == ("tool_use", "get_weather", ARGUMENTS)
    assert answer["stop_reason"] == "tool_use"


def test_blocks_of_a_stream_open_one_after_the_other(port: Any) -> None:
    body = {"model": "quick", "max_tokens": 500, "messages": [{"role": "user", "content": f"!think {CALL}"}]}
    told = events(port.post("messages", **body, tools=BLOCK_TOOLS, stream=True).text)
    opened: list[int] = []
    kinds: list[str] = []
    said: dict[int, str] = {}
    for kind, data in told:
        if kind == "content_block_start":
            assert not opened
            opened.append(data["index"])
            kinds.append(data["content_block"]["type"])
        elif kind == "content_block_delta":
            assert opened == [data["index"]]
            (value,) = [value for key, value in data["delta"].items() if key != "type"]
            said[data["index"]] = said.get(data["index"], "") + value
        elif kind == "content_block_stop":
            assert opened.pop() == data["index"]
    assert kinds == ["thinking", "text", "tool_use", "text"]
    assert said[0] == THOUGHT
    assert json.loads(said[2]) == ARGUMENTS
    assert told[-2][1]["delta"]["stop_reason"] == "tool_use"


@pytest.mark.parametrize("stream", [False, True])
def test_lines_of_ollama_have_whole_calls(port: Any, stream: bool) -> None:
    body = {"model": "quick", "messages": [{"role": "user", "content": f"!think {CALL}"}], "tools": TOOLS}
    response = port.client.post("/api/chat", json={**body, "stream": stream})
    messages = [json.loads(line)["message"] for line in response.text.splitlines()]
    calls = [call for message in messages for call in message.get("tool_calls", ())]
    assert [(call["function"]["name"], call["function"]["arguments"]) for call in calls] == [("get_weather", ARGUMENTS)]
    assert joined(message.get("thinking") for message in messages) == THOUGHT
    assert joined(message["content"] for message in messages).startswith("You said")


def openai(**fields: Any) -> Generate:
    return ChatRequest.model_validate({"messages": TURNS, **fields}).generate(())


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("auto", ToolChoice()),
        ("none", ToolChoice(Calling.NONE)),
        ("required", ToolChoice(Calling.REQUIRED)),
        ({"type": "function", "function": {"name": "get_weather"}}, ToolChoice(Calling.REQUIRED, "get_weather")),
    ],
)
def test_tools_and_a_choice_reach_the_engine(given: object, wanted: ToolChoice) -> None:
    request = openai(tools=TOOLS, tool_choice=given)
    assert request.tools == (TOOL,)
    assert request.tool_choice == wanted
    assert request.is_parsed


@pytest.mark.parametrize(
    "fields",
    [
        {"tool_choice": "required"},
        {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "other"}}},
        {"tools": TOOLS, "tool_choice": {"type": "allowed_tools"}},
        {"tools": TOOLS, "tool_choice": "sometimes"},
        {"tools": [{"type": "custom", "custom": {"name": "x"}}]},
        {"tools": [{"type": "function", "function": {"name": ""}}]},
        {"tools": TOOLS * 129},
        {"tools": TOOLS, "functions": [FUNCTION]},
        {"tools": TOOLS, "grammar": 'root ::= "a"'},
        {"tools": TOOLS, "guided_regex": "a+"},
        {"tools": TOOLS, "reasoning_format": "none"},
        {"reasoning_effort": "enormous"},
        {"chat_template_kwargs": {"x": "y" * 70_000}},
    ],
)
def test_what_cannot_be_done_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        openai(**fields)


def test_how_long_a_model_thinks_is_told_to_its_template() -> None:
    off = {"enable_thinking": False, "thinking": False}
    assert dict(openai(reasoning_effort="none").template_options) == off
    high = {"enable_thinking": True, "thinking": True, "reasoning_effort": "high"}
    assert dict(openai(reasoning_effort="xhigh").template_options) == high
    own = openai(reasoning_effort="low", chat_template_kwargs={"enable_thinking": False, "x": [1]})
    assert dict(own.template_options) == {**high, "reasoning_effort": "low", "enable_thinking": False, "x": [1]}
    assert openai().template_options == ()
    assert not openai(response_format={"type": "json_object"}).is_parsed


def test_beside_tools_an_answer_may_be_held_by_a_schema() -> None:
    """And is read for calls and thoughts all the same."""
    form = {"type": "json_schema", "schema": SCHEMA}
    block = {"model": "m", "messages": TURNS, "max_tokens": 5, "tools": BLOCK_TOOLS, "output_config": {"format": form}}
    response = {"input": "Hi", "tools": [{"type": "function", **FUNCTION}], "text": {"format": form}}
    wanted = [
        openai(tools=TOOLS, response_format={"type": "json_schema", "json_schema": {"schema": SCHEMA}}),
        MessagesRequest.model_validate(block).generate(),
        OllamaRequest.model_validate({"model": "m", "messages": TURNS, "tools": TOOLS, "format": SCHEMA}).wanted(),
        ResponseRequest.model_validate(response).generate([], []),
    ]
    for each in wanted:
        assert each is not None
        assert (each.tools, each.is_parsed) == ((TOOL,), True)
        assert each.grammar == Grammar(GrammarKind.JSON_SCHEMA, json.dumps(SCHEMA))


def test_anthropics_fields_reach_the_engine() -> None:
    fields = {
        "model": "m",
        "messages": TURNS,
        "tools": BLOCK_TOOLS,
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
        "thinking": {"type": "enabled", "budget_tokens": 2000},
    }
    request = MessagesRequest.model_validate({**fields, "max_tokens": 5}).generate()
    assert request.tools == (TOOL,)
    assert request.tool_choice == ToolChoice(Calling.REQUIRED, is_parallel=False)
    assert request.max_thoughts == 2000
    assert dict(request.template_options) == {"enable_thinking": True, "thinking": True}
    counted = CountRequest.model_validate(fields).wanted()
    assert (counted.tools, counted.template_options) == (request.tools, request.template_options)


@pytest.mark.parametrize("think", [None, False, True, "high"])
def test_ollamas_fields_reach_the_engine(think: bool | str | None) -> None:
    request = OllamaRequest.model_validate({"model": "m", "messages": TURNS, "tools": TOOLS, "think": think}).wanted()
    assert request is not None
    assert request.tools == (TOOL,)
    assert dict(request.template_options).get("enable_thinking") == (None if think is None else bool(think))


@pytest.mark.parametrize(
    "request_",
    [
        ChatRequest(messages=[{"role": "user", "content": "Hi"}], tools=[{"function": {"name": "f"}}]),
        MessagesRequest(
            model="m",
            messages=[{"role": "user", "content": "Hi"}],
            tools=[{"name": "f", "input_schema": {}}],
            max_tokens=1,
        ),
        ResponseRequest(input="Hi", tools=[{"type": "function", "name": "f"}]),
    ],
    ids=lambda each: type(each).__module__.split(".")[2],
)
def test_tools_are_written_out_once_for_a_request(request_: Any) -> None:
    """Each of a hundred schemas takes time, in which the port answers nobody else."""
    assert [tool.name for tool in request_.offered] == ["f"]
    assert request_.offered is request_.offered
