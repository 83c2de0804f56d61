"""anthropic-python, as its README uses it."""

from typing import Any

from anthropic import Anthropic, AsyncAnthropic, NotFoundError
from steps import CALLED, KEY, MODEL, ROOT, run, step, temperature_in

client = Anthropic(base_url=ROOT, api_key=KEY, max_retries=0)
ASKED: list[Any] = [{"role": "user", "content": "Name a colour of the sky."}]
TOOL: Any = {
    "name": "temperature_in",
    "description": temperature_in.__doc__,
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}


@step("models: list, retrieve")
def models() -> None:
    assert MODEL in [model.id for model in client.models.list()]
    assert client.models.retrieve(MODEL).id == MODEL


@step("messages")
def messages() -> None:
    answer = client.messages.create(model=MODEL, messages=ASKED, system="Be short.", max_tokens=24)
    assert answer.content[0].type == "text"
    assert answer.content[0].text
    assert answer.usage.output_tokens


@step("messages, async")
async def messages_async() -> None:
    async with AsyncAnthropic(base_url=ROOT, api_key=KEY, max_retries=0) as other:
        assert (await other.messages.create(model=MODEL, messages=ASKED, max_tokens=24)).content


@step("stream")
def stream() -> None:
    with client.messages.stream(model=MODEL, messages=ASKED, max_tokens=24) as events:
        text = "".join(events.text_stream)
        final = events.get_final_message()
    assert text
    assert final.content[0].type == "text"
    assert final.content[0].text == text
    assert final.stop_reason in ("end_turn", "max_tokens")


@step("tools loop")
def tools() -> None:
    turns: list[Any] = [{"role": "user", "content": "How warm is it in Rome?"}]
    choice: Any = {"type": "any", "disable_parallel_tool_use": True}
    first = client.messages.create(model=MODEL, messages=turns, tools=[TOOL], tool_choice=choice, max_tokens=100)
    assert first.stop_reason == "tool_use", first.stop_reason
    turns.append({"role": "assistant", "content": first.content})
    results = [
        {"type": "tool_result", "tool_use_id": block.id, "content": temperature_in(**block.input)}
        for block in first.content
        if block.type == "tool_use"
    ]
    turns.append({"role": "user", "content": results})
    assert len(CALLED) == 1, CALLED
    last = client.messages.create(
        model=MODEL, messages=turns, tools=[TOOL], tool_choice={"type": "none"}, max_tokens=40
    )
    assert last.content[0].type == "text"


@step("tools, streamed")
def tools_streamed() -> None:
    asked: Any = [{"role": "user", "content": "How warm is it in Rome?"}]
    with client.messages.stream(
        model=MODEL, messages=asked, tools=[TOOL], tool_choice={"type": "any"}, max_tokens=200
    ) as events:
        kinds = {event.type for event in events}
        final = events.get_final_message()
    assert "input_json" in kinds, kinds
    assert any(block.type == "tool_use" and "city" in block.input for block in final.content)


@step("count_tokens")
def count_tokens() -> None:
    few = client.messages.count_tokens(model=MODEL, messages=ASKED).input_tokens
    more = client.messages.count_tokens(model=MODEL, messages=ASKED, system="Be short.", tools=[TOOL]).input_tokens
    assert 0 < few < more, (few, more)
    said = client.messages.create(model=MODEL, messages=ASKED, max_tokens=1).usage
    assert said.input_tokens + (said.cache_read_input_tokens or 0) == few, (said, few)


@step("an unknown model is NotFoundError")
def unknown() -> None:
    try:
        client.messages.create(model="no-such-model", messages=ASKED, max_tokens=1)
    except NotFoundError:
        return
    raise AssertionError("a model that is not there answered")


run()
