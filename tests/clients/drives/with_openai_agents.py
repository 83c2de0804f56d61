"""OpenAI's Agents SDK, on both of its model classes."""

from typing import Any

from agents import (
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from openai import AsyncOpenAI
from pydantic import BaseModel
from steps import CALLED, KEY, MODEL, OPENAI, run, step, temperature_in

ASKED, WARM = "Name a colour of the sky.", "How warm is it in Rome?"
WHOLE = ModelSettings(max_tokens=600, temperature=0)  # an answer that is cut is a fault to the SDK
# this model does not call of itself; the SDK takes the demand back after the first call
CALLS = ModelSettings(max_tokens=100, tool_choice="required", parallel_tool_calls=False)


class Colour(BaseModel):
    name: str
    red: int


def client() -> AsyncOpenAI:
    return AsyncOpenAI(base_url=OPENAI, api_key=KEY, max_retries=0)


def chat() -> Any:
    return OpenAIChatCompletionsModel(MODEL, client())


def responses() -> Any:
    return OpenAIResponsesModel(MODEL, client())


async def answer(model: Any) -> None:
    result = await Runner.run(Agent("short", instructions="Be short.", model=model, model_settings=WHOLE), ASKED)
    assert result.final_output


async def tool(model: Any) -> None:
    agent = Agent("warm", model=model, model_settings=CALLS, tools=[function_tool(temperature_in)])
    result = await Runner.run(agent, WARM, max_turns=4)
    assert CALLED
    kinds = [item.type for item in result.new_items]
    assert {"tool_call_item", "tool_call_output_item"} <= set(kinds), kinds


async def structured(model: Any) -> None:
    agent = Agent("colours", model=model, model_settings=ModelSettings(max_tokens=200), output_type=Colour)
    assert isinstance((await Runner.run(agent, ASKED)).final_output, Colour)


async def streamed(model: Any) -> None:
    result = Runner.run_streamed(Agent("short", model=model, model_settings=WHOLE), ASKED)
    kinds = [event.data.type async for event in result.stream_events() if event.type == "raw_response_event"]
    assert "response.output_text.delta" in kinds, kinds
    assert kinds[-1] == "response.completed", kinds
    assert result.final_output


@step("chat: run")
async def chat_answer() -> None:
    await answer(chat())


@step("chat: run_streamed")
async def chat_streamed() -> None:
    await streamed(chat())


@step("chat: an agent with a tool, the first turn demanded")
async def chat_tool() -> None:
    await tool(chat())


@step("chat: output_type")
async def chat_structured() -> None:
    await structured(chat())


@step("responses: run")
async def responses_answer() -> None:
    await answer(responses())


@step("responses: run_streamed")
async def responses_streamed() -> None:
    await streamed(responses())


@step("responses: an agent with a tool, the first turn demanded")
async def responses_tool() -> None:
    await tool(responses())


@step("responses: output_type")
async def responses_structured() -> None:
    await structured(responses())


set_tracing_disabled(True)
run()
