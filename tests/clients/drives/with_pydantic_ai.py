"""Pydantic AI: agents on the model class for servers that speak OpenAI's dialect."""

from typing import Any

from pydantic import BaseModel
from pydantic_ai import Agent, ModelHTTPError, NativeOutput
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider
from steps import CALLED, KEY, MODEL, OPENAI, run, step, temperature_in

provider = OpenAIProvider(base_url=OPENAI, api_key=KEY)
model = OpenAIChatModel(MODEL, provider=provider)
SHORT: Any = {"max_tokens": 24}
LONG: Any = {"max_tokens": 200}
ASKED = "Name a colour of the sky."


class Colour(BaseModel):
    name: str
    red: int


class ToolFirst(AbstractCapability[None]):
    """This model does not call of itself: the first turn is made to, the second is kept from it."""

    def get_model_settings(self) -> Any:
        return lambda context: {"tool_choice": "required" if context.run_step <= 1 else "none"}


@step("an agent's run")
def whole() -> None:
    result = Agent(model, instructions="Be short.").run_sync(ASKED, model_settings=SHORT)
    assert result.output
    usage = result.usage
    assert usage.input_tokens, usage
    assert usage.output_tokens, usage


@step("its history goes on")
def history() -> None:
    agent = Agent(model)
    first = agent.run_sync(ASKED, model_settings=SHORT)
    second = agent.run_sync("And of the sea?", message_history=first.all_messages(), model_settings=SHORT)
    assert second.output
    assert second.usage.input_tokens > first.usage.input_tokens


@step("run_stream")
async def stream() -> None:
    async with Agent(model).run_stream(ASKED, model_settings=SHORT) as result:
        pieces = [piece async for piece in result.stream_text(delta=True, debounce_by=None)]
    assert len(pieces) > 1, pieces
    assert "".join(pieces) == await result.get_output()


@step("an agent with a tool, the first turn demanded")
def tool() -> None:
    agent = Agent(model, tools=[temperature_in], capabilities=[ToolFirst()])
    result = agent.run_sync("How warm is it in Rome?", model_settings=LONG)
    assert CALLED
    kinds = [part.part_kind for message in result.all_messages() for part in message.parts]
    assert kinds[:1] == ["user-prompt"], kinds
    assert "tool-call" in kinds, kinds
    assert "tool-return" in kinds, kinds
    assert kinds[-1] == "text", kinds


@step("the same, streamed")
async def tool_streamed() -> None:
    agent = Agent(model, tools=[temperature_in], capabilities=[ToolFirst()])
    async with agent.run_stream("How warm is it in Rome?", model_settings=LONG) as result:
        assert await result.get_output()
    assert CALLED


@step("a structured result by an output tool")
def by_tool() -> None:
    assert isinstance(Agent(model, output_type=Colour).run_sync(ASKED, model_settings=LONG).output, Colour)


@step("a structured result by a schema")
def by_schema() -> None:
    agent = Agent(model, output_type=NativeOutput(Colour))
    assert isinstance(agent.run_sync(ASKED, model_settings=LONG).output, Colour)


@step("a structured result, streamed")
async def structured_streamed() -> None:
    async with Agent(model, output_type=NativeOutput(Colour)).run_stream(ASKED, model_settings=LONG) as result:
        parts = [part async for part in result.stream_output(debounce_by=None)]
    assert isinstance(parts[-1], Colour)


@step("an agent on /v1/responses")
def responses() -> None:
    agent = Agent(OpenAIResponsesModel(MODEL, provider=provider))
    assert agent.run_sync(ASKED, model_settings=SHORT).output


@step("an agent with a tool on /v1/responses")
def responses_tool() -> None:
    agent = Agent(OpenAIResponsesModel(MODEL, provider=provider), tools=[temperature_in], capabilities=[ToolFirst()])
    assert agent.run_sync("How warm is it in Rome?", model_settings=LONG).output
    assert CALLED


@step("an unknown model is a ModelHTTPError 404")
def unknown() -> None:
    status = None
    try:
        Agent(OpenAIChatModel("no-such-model", provider=provider)).run_sync(ASKED)
    except ModelHTTPError as fault:
        status = fault.status_code
    assert status == 404, status


run()
