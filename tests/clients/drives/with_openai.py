"""openai-python, as its README uses it."""

import json
from typing import Any

from openai import AsyncOpenAI, NotFoundError, OpenAI
from pydantic import BaseModel
from steps import CALLED, KEY, MODEL, OPENAI, TOOL, run, step, temperature_in

client = OpenAI(base_url=OPENAI, api_key=KEY, max_retries=0)
ASKED: list[Any] = [{"role": "user", "content": "Name a colour of the sky."}]


class Colour(BaseModel):
    name: str
    red: int


@step("models: list, retrieve")
def models() -> None:
    assert MODEL in [model.id for model in client.models.list()]
    assert client.models.retrieve(MODEL).id == MODEL


@step("chat")
def chat() -> None:
    answer = client.chat.completions.create(model=MODEL, messages=ASKED, max_completion_tokens=24)
    assert answer.choices[0].message.content
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


@step("chat, async")
async def chat_async() -> None:
    async with AsyncOpenAI(base_url=OPENAI, api_key=KEY, max_retries=0) as other:
        answer = await other.chat.completions.create(model=MODEL, messages=ASKED, max_completion_tokens=24)
    assert answer.choices[0].message.content


@step("chat, streamed with usage")
def streamed() -> None:
    options: Any = {"include_usage": True}
    chunks = list(
        client.chat.completions.create(model=MODEL, messages=ASKED, max_tokens=24, stream=True, stream_options=options)
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert chunks[-1].usage is not None


@step("chat, streamed async")
async def streamed_async() -> None:
    async with AsyncOpenAI(base_url=OPENAI, api_key=KEY, max_retries=0) as other:
        stream = await other.chat.completions.create(model=MODEL, messages=ASKED, max_tokens=24, stream=True)
        assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream])


@step(".parse")
def parse() -> None:
    answer = client.chat.completions.parse(model=MODEL, messages=ASKED, max_tokens=200, response_format=Colour)
    assert isinstance(answer.choices[0].message.parsed, Colour)


@step(".stream")
def stream() -> None:
    with client.chat.completions.stream(model=MODEL, messages=ASKED, max_tokens=200, response_format=Colour) as events:
        kinds = {event.type for event in events}
        final = events.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds, kinds
    assert isinstance(final.choices[0].message.parsed, Colour)


@step("tools loop")
def tools() -> None:
    messages: list[Any] = [{"role": "user", "content": "How warm is it in Rome?"}]
    first = client.chat.completions.create(
        model=MODEL, messages=messages, tools=[TOOL], tool_choice="required", parallel_tool_calls=False, max_tokens=100
    )
    message = first.choices[0].message
    assert first.choices[0].finish_reason == "tool_calls", first.choices[0].finish_reason
    assert message.tool_calls
    messages.append(message)
    for call in message.tool_calls:
        result = temperature_in(**json.loads(call.function.arguments))
        messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    assert len(CALLED) == 1, CALLED
    last = client.chat.completions.create(
        model=MODEL, messages=messages, tools=[TOOL], tool_choice="none", max_tokens=40
    )
    assert last.choices[0].message.content


@step("tools, streamed")
def tools_streamed() -> None:
    asked: Any = [{"role": "user", "content": "How warm is it in Rome?"}]
    with client.chat.completions.stream(
        model=MODEL,
        messages=asked,
        tools=[TOOL],
        tool_choice="required",
        parallel_tool_calls=False,
        max_tokens=200,
    ) as events:
        kinds = {event.type for event in events}
        final = events.get_final_completion()
    assert "tool_calls.function.arguments.done" in kinds, kinds
    assert final.choices[0].message.tool_calls


@step("completions")
def completions() -> None:
    answer = client.completions.create(model=MODEL, prompt="The sky is", max_tokens=8, logprobs=2, echo=True)
    assert answer.choices[0].text.startswith("The sky is")
    assert answer.choices[0].logprobs is not None


@step("embeddings")
def embeddings() -> None:
    answer = client.embeddings.create(model=MODEL, input=["sky", "sea"])
    assert [entry.index for entry in answer.data] == [0, 1]
    assert len(answer.data[0].embedding) == len(answer.data[1].embedding) > 1


@step("responses: create, retrieve, input items, delete")
def responses() -> None:
    answer = client.responses.create(
        model=MODEL, input="Name a colour.", instructions="Be short.", max_output_tokens=24
    )
    assert answer.output_text
    assert answer.usage is not None
    assert answer.usage.input_tokens > 0
    assert client.responses.retrieve(answer.id).output_text == answer.output_text
    (item,) = client.responses.input_items.list(answer.id)
    assert item.type == "message", item.type
    client.responses.delete(answer.id)
    try:
        client.responses.retrieve(answer.id)
    except NotFoundError:
        return
    raise AssertionError("a response that was deleted is there")


@step("responses, async and streamed async")
async def responses_async() -> None:
    async with AsyncOpenAI(base_url=OPENAI, api_key=KEY, max_retries=0) as other:
        answer = await other.responses.create(model=MODEL, input="Name a colour.", max_output_tokens=24)
        stream = await other.responses.create(model=MODEL, input="Name a colour.", max_output_tokens=24, stream=True)
        said = [event.delta async for event in stream if event.type == "response.output_text.delta"]
    assert answer.output_text
    assert "".join(said)


@step("responses.stream")
def responses_stream() -> None:
    with client.responses.stream(model=MODEL, input="Name a colour.", temperature=0, max_output_tokens=60) as events:
        kinds = [event.type for event in events]
        final = events.get_final_response()
    assert kinds[:2] == ["response.created", "response.in_progress"], kinds[:2]
    assert kinds[-1] == "response.completed", kinds[-1]
    assert final.output_text


@step("responses.parse")
def responses_parse() -> None:
    answer = client.responses.parse(model=MODEL, input="Name a colour.", text_format=Colour, max_output_tokens=200)
    assert isinstance(answer.output_parsed, Colour)


@step("responses: tools loop by previous_response_id")
def responses_tools() -> None:
    tool: Any = {"type": "function", **TOOL["function"]}
    first = client.responses.create(
        model=MODEL,
        input="How warm is it in Rome?",
        tools=[tool],
        tool_choice="required",
        parallel_tool_calls=False,
        max_output_tokens=100,
    )
    (call,) = [item for item in first.output if item.type == "function_call"]
    result: Any = {
        "type": "function_call_output",
        "call_id": call.call_id,
        "output": temperature_in(**json.loads(call.arguments)),
    }
    last = client.responses.create(
        model=MODEL,
        input=[result],
        previous_response_id=first.id,
        tools=[tool],
        tool_choice="none",
        max_output_tokens=40,
    )
    assert last.output_text
    assert last.usage is not None
    assert last.usage.input_tokens_details.cached_tokens > 0


@step("responses: a tool's arguments, streamed")
def responses_tools_streamed() -> None:
    tool: Any = {"type": "function", **TOOL["function"]}
    with client.responses.stream(
        model=MODEL, input="How warm is it in Rome?", tools=[tool], tool_choice="required", max_output_tokens=200
    ) as events:
        kinds = {event.type for event in events}
        final = events.get_final_response()
    assert "response.function_call_arguments.done" in kinds, kinds
    assert any(item.type == "function_call" for item in final.output)


@step("an unknown model is NotFoundError")
def unknown() -> None:
    try:
        client.chat.completions.create(model="no-such-model", messages=ASKED)
    except NotFoundError:
        return
    raise AssertionError("a model that is not there answered")


run()
