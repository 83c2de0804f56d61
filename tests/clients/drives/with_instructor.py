"""instructor: typed answers by response_format and by a demanded call."""

import instructor
from openai import OpenAI
from pydantic import BaseModel
from steps import KEY, MODEL, OPENAI, run, step


class Colour(BaseModel):
    name: str
    red: int


def ask(mode: instructor.Mode) -> Colour:
    client = instructor.from_openai(OpenAI(base_url=OPENAI, api_key=KEY, max_retries=0), mode=mode)
    return client.chat.completions.create(
        model=MODEL,
        response_model=Colour,
        max_retries=0,
        max_tokens=200,
        messages=[{"role": "user", "content": "Name a colour of the sky."}],
    )


@step("Mode.JSON_SCHEMA")
def json_schema() -> None:
    assert isinstance(ask(instructor.Mode.JSON_SCHEMA), Colour)


@step("Mode.TOOLS")
def tools() -> None:
    assert isinstance(ask(instructor.Mode.TOOLS), Colour)


@step("Mode.TOOLS, partial answers streamed")
def partial() -> None:
    client = instructor.from_openai(OpenAI(base_url=OPENAI, api_key=KEY, max_retries=0))
    parts = list(
        client.chat.completions.create_partial(
            model=MODEL,
            response_model=Colour,
            max_tokens=200,
            messages=[{"role": "user", "content": "Name a colour of the sky."}],
        )
    )
    assert parts[-1].name is not None


run()
