"""pydantic-ai: an agent that answers with text, with a type, and with a tool on its way."""

from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from steps import KEY, MODEL, OPENAI, run, step, temperature_in

model = OpenAIChatModel(MODEL, provider=OpenAIProvider(base_url=OPENAI, api_key=KEY))
SHORT = {"max_tokens": 24}
LONG = {"max_tokens": 200, "temperature": 0.0}


class Colour(BaseModel):
    name: str
    red: int


@step("an agent's text")
def text() -> None:
    assert Agent(model, model_settings=SHORT).run_sync("Name a colour of the sky.").output


@step("an agent's text, streamed")
async def streamed() -> None:
    async with Agent(model, model_settings=SHORT).run_stream("Name a colour of the sky.") as answer:
        assert "".join([part async for part in answer.stream_text(delta=True)])


@step("output_type by a demanded call")
def typed() -> None:
    agent = Agent(model, output_type=Colour, model_settings=LONG)
    assert isinstance(agent.run_sync("Name a colour of the sky.").output, Colour)


@step("output_type by response_format")
def native() -> None:
    agent = Agent(model, output_type=NativeOutput(Colour), model_settings=LONG)
    assert isinstance(agent.run_sync("Name a colour of the sky.").output, Colour)


@step("a tool offered to an agent")
def tool() -> None:
    agent = Agent(model, tools=[temperature_in], model_settings={**SHORT, "temperature": 0.0})
    assert agent.run_sync("Call temperature_in for Rome.").output


run()
