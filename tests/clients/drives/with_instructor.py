"""instructor: results of a Pydantic model by tools, by JSON and by a schema."""

import asyncio
from collections.abc import Iterable
from typing import Any

import instructor
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel, Field
from steps import KEY, MODEL, OPENAI, run, step

plain = OpenAI(base_url=OPENAI, api_key=KEY, max_retries=0)
ASKED: list[Any] = [{"role": "user", "content": "Name a colour of the sky."}]
# the schema is only told in JSON mode, and this model needs an example to follow one
SHOWN: list[Any] = [
    {"role": "user", "content": "Name a colour of grass."},
    {"role": "assistant", "content": '{"name": "green", "red": 30}'},
    {"role": "user", "content": "Name a colour of the sky."},
]
LIMIT = 200


class Colour(BaseModel):
    name: str = Field(description="in English")
    red: int


def made_by(mode: instructor.Mode, messages: list[Any] = ASKED, **more: Any) -> None:
    client = instructor.from_openai(plain, mode=mode)
    made = client.chat.completions.create(
        model=MODEL, messages=messages, response_model=Colour, max_tokens=LIMIT, max_retries=1, **more
    )
    assert isinstance(made, Colour)
    assert made.name


@step("TOOLS")
def tools() -> None:
    made_by(instructor.Mode.TOOLS)


@step("TOOLS_STRICT")
def strict() -> None:
    made_by(instructor.Mode.TOOLS_STRICT)


@step("JSON, with an example")
def by_json() -> None:
    made_by(instructor.Mode.JSON, SHOWN, temperature=0)


@step("JSON_SCHEMA")
def schema() -> None:
    made_by(instructor.Mode.JSON_SCHEMA)


@step("create_with_completion")
def with_completion() -> None:
    client = instructor.from_openai(plain, mode=instructor.Mode.TOOLS)
    colour, completion = client.chat.completions.create_with_completion(
        model=MODEL, messages=ASKED, response_model=Colour, max_tokens=LIMIT
    )
    assert isinstance(colour, Colour)
    assert completion.usage.completion_tokens


@step("create_partial, streamed by tools")
def partial() -> None:
    client = instructor.from_openai(plain, mode=instructor.Mode.TOOLS)
    parts = list(
        client.chat.completions.create_partial(model=MODEL, messages=ASKED, response_model=Colour, max_tokens=LIMIT)
    )
    assert len(parts) > 1
    Colour.model_validate(parts[-1].model_dump())


@step("create_iterable, streamed by a schema")
def iterable() -> None:
    client = instructor.from_openai(plain, mode=instructor.Mode.JSON_SCHEMA)
    made: Iterable[Any] = client.chat.completions.create_iterable(
        model=MODEL, messages=ASKED, response_model=Colour, max_tokens=LIMIT
    )
    assert all(isinstance(colour, Colour) for colour in made)


@step("TOOLS, async, four at once")
async def at_once() -> None:
    async with AsyncOpenAI(base_url=OPENAI, api_key=KEY, max_retries=0) as other:
        client = instructor.from_openai(other, mode=instructor.Mode.TOOLS)
        made = await asyncio.gather(
            *(
                client.chat.completions.create(
                    model=MODEL, messages=ASKED, response_model=Colour, max_tokens=LIMIT, seed=seed
                )
                for seed in range(4)
            )
        )
    assert all(isinstance(colour, Colour) for colour in made)


@step("a result that its own rule refuses is asked for again")
def again() -> None:
    asked = []

    class Bright(Colour):
        def model_post_init(self, _: Any) -> None:
            asked.append(self.name)
            if len(asked) == 1:
                raise ValueError("say it again")

    client = instructor.from_openai(plain, mode=instructor.Mode.TOOLS)
    client.chat.completions.create(model=MODEL, messages=ASKED, response_model=Bright, max_tokens=LIMIT, max_retries=3)
    assert len(asked) == 2, asked


run()
