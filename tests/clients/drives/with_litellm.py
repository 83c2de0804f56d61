"""litellm over the three dialects that it can be pointed at."""

from typing import Any

import litellm
from steps import KEY, MODEL, OPENAI, ROOT, run, step, temperature_in

ASKED = [{"role": "user", "content": "Name a colour of the sky."}]
OPEN: dict[str, Any] = {"model": f"openai/{MODEL}", "api_base": OPENAI, "api_key": KEY, "messages": ASKED}
TOOL = {
    "type": "function",
    "function": {
        "name": "temperature_in",
        "description": temperature_in.__doc__,
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@step("openai/: chat")
def chat() -> None:
    assert litellm.completion(**OPEN, max_tokens=24).choices[0].message.content


@step("openai/: streamed")
def streamed() -> None:
    chunks = litellm.completion(**OPEN, max_tokens=24, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


@step("openai/: a demanded call")
def tools() -> None:
    answer = litellm.completion(**OPEN, max_tokens=100, tools=[TOOL], tool_choice="required")
    assert answer.choices[0].message.tool_calls[0].function.name == "temperature_in"


@step("openai/: embedding")
def embedding() -> None:
    answer = litellm.embedding(model=f"openai/{MODEL}", api_base=OPENAI, api_key=KEY, input=["sky"])
    assert answer.data[0]["embedding"]


@step("anthropic/: messages")
def anthropic() -> None:
    answer = litellm.completion(model=f"anthropic/{MODEL}", api_base=ROOT, api_key=KEY, messages=ASKED, max_tokens=24)
    assert answer.choices[0].message.content


@step("ollama_chat/: chat")
def ollama() -> None:
    answer = litellm.completion(model=f"ollama_chat/{MODEL}", api_base=ROOT, messages=ASKED, max_tokens=24)
    assert answer.choices[0].message.content


run()
