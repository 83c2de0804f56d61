"""ollama-python, as its README uses it."""

from ollama import AsyncClient, Client, ResponseError
from pydantic import BaseModel
from steps import CALLED, MODEL, ROOT, run, step, temperature_in

client = Client(host=ROOT)
ASKED = [{"role": "user", "content": "Name a colour of the sky."}]
SHORT = {"num_predict": 24}


class Colour(BaseModel):
    name: str
    red: int


@step("list, ps, show")
def models() -> None:
    assert MODEL in [model.model for model in client.list().models]
    assert MODEL in [model.model for model in client.ps().models]
    assert client.show(MODEL).details is not None


@step("chat")
def chat() -> None:
    answer = client.chat(MODEL, messages=ASKED, options=SHORT)
    assert answer.message.content
    assert answer.done
    assert answer.eval_count


@step("chat, async")
async def chat_async() -> None:
    assert (await AsyncClient(host=ROOT).chat(MODEL, messages=ASKED, options=SHORT)).message.content


@step("chat, streamed")
def streamed() -> None:
    parts = list(client.chat(MODEL, messages=ASKED, options=SHORT, stream=True))
    assert "".join(part.message.content or "" for part in parts)
    assert parts[-1].done_reason in ("stop", "length")


@step("chat in a schema's format")
def schema() -> None:
    form = Colour.model_json_schema()
    answer = client.chat(MODEL, messages=ASKED, format=form, options={"num_predict": 200})
    Colour.model_validate_json(answer.message.content or "")


@step("tools offered as functions, results fed back")
def tools() -> None:
    """Ollama has no tool_choice: whether this model calls is the model's, that a call is read and answered is ours."""
    turns = [{"role": "user", "content": "Call temperature_in for Rome."}]
    first = client.chat(MODEL, messages=turns, tools=[temperature_in], options={"num_predict": 100, "temperature": 0})
    called = first.message.tool_calls or []
    assert called or first.message.content
    call = {"function": {"name": "temperature_in", "arguments": {"city": "Rome"}}}
    history = [
        *turns,
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_name": "temperature_in", "content": temperature_in("Rome")},
    ]
    assert CALLED
    assert client.chat(MODEL, messages=history, tools=[temperature_in], options=SHORT).message is not None


@step("generate")
def generate() -> None:
    assert client.generate(MODEL, prompt="The sky is", options=SHORT).response
    parts = client.generate(MODEL, prompt="The sky is", raw=True, options=SHORT, stream=True)
    assert "".join(part.response for part in parts)


@step("embed")
def embed() -> None:
    answer = client.embed(MODEL, input=["sky", "sea"])
    assert len(answer.embeddings) == 2


@step("an unknown model is a ResponseError 404")
def unknown() -> None:
    status = None
    try:
        client.chat("no-such-model", messages=ASKED)
    except ResponseError as fault:
        status = fault.status_code
    assert status == 404, status


run()
