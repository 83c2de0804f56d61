"""LiteLLM: one function over OpenAI's, Anthropic's and Ollama's dialects."""

import json
import os
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it would ask the web for prices while it is imported
import litellm
from pydantic import BaseModel
from steps import CALLED, KEY, MODEL, OPENAI, ROOT, TOOL, run, step, temperature_in

ASKED: list[Any] = [{"role": "user", "content": "Name a colour of the sky."}]
WARM: list[Any] = [{"role": "user", "content": "How warm is it in Rome?"}]
BY_OPENAI: Any = {"model": f"openai/{MODEL}", "api_base": OPENAI, "api_key": KEY, "num_retries": 0}
BY_ANTHROPIC: Any = {"model": f"anthropic/{MODEL}", "api_base": ROOT, "api_key": KEY, "num_retries": 0}
BY_OLLAMA: Any = {"model": f"ollama_chat/{MODEL}", "api_base": ROOT, "num_retries": 0}
TOLD: Any = {"extra_headers": {"Content-Type": "application/json"}}


class Colour(BaseModel):
    name: str
    red: int


def answered(**asked: Any) -> str:
    answer = litellm.completion(messages=ASKED, max_tokens=24, **asked)
    assert answer.usage.completion_tokens, answer
    return answer.choices[0].message.content or ""


def streamed(**asked: Any) -> str:
    parts = litellm.completion(messages=ASKED, max_tokens=24, stream=True, **asked)
    return "".join(part.choices[0].delta.content or "" for part in parts)


@step("openai: completion")
def whole() -> None:
    assert answered(**BY_OPENAI)


@step("openai: completion, streamed with usage")
def stream() -> None:
    assert streamed(**BY_OPENAI)
    parts = list(
        litellm.completion(
            messages=ASKED, max_tokens=8, stream=True, stream_options={"include_usage": True}, **BY_OPENAI
        )
    )
    assert any(getattr(part, "usage", None) for part in parts)
    assert litellm.stream_chunk_builder(parts, messages=ASKED).choices[0].message.content


@step("openai: acompletion")
async def whole_async() -> None:
    answer = await litellm.acompletion(messages=ASKED, max_tokens=24, **BY_OPENAI)
    assert answer.choices[0].message.content


@step("openai: tools loop, demanded")
def tools() -> None:
    turns = [*WARM]
    first = litellm.completion(messages=turns, tools=[TOOL], tool_choice="required", max_tokens=100, **BY_OPENAI)
    message = first.choices[0].message
    assert first.choices[0].finish_reason == "tool_calls", first
    turns.append(message.model_dump())
    for call in message.tool_calls:
        result = temperature_in(**json.loads(call.function.arguments))
        turns.append({"role": "tool", "tool_call_id": call.id, "content": result})
    assert CALLED
    last = litellm.completion(messages=turns, tools=[TOOL], tool_choice="none", max_tokens=40, **BY_OPENAI)
    assert last.choices[0].message.content


@step("openai: tools, streamed")
def tools_streamed() -> None:
    parts = list(
        litellm.completion(
            messages=WARM, tools=[TOOL], tool_choice="required", max_tokens=100, stream=True, **BY_OPENAI
        )
    )
    (call, *_) = litellm.stream_chunk_builder(parts, messages=WARM).choices[0].message.tool_calls
    assert call.function.name == "temperature_in"
    assert "city" in json.loads(call.function.arguments)


@step("openai: response_format")
def schema() -> None:
    answer = litellm.completion(messages=ASKED, response_format=Colour, max_tokens=200, **BY_OPENAI)
    Colour.model_validate_json(answer.choices[0].message.content or "")


@step("openai: text_completion with logprobs")
def text() -> None:
    asked = {**BY_OPENAI, "model": f"text-completion-openai/{MODEL}"}
    answer = litellm.text_completion(prompt="The sky is", max_tokens=8, logprobs=2, **asked)
    assert answer.choices[0].text
    assert answer.choices[0].logprobs is not None


@step("openai: embedding")
def embedding() -> None:
    answer = litellm.embedding(input=["sky", "sea"], **BY_OPENAI)
    assert len(answer.data) == 2
    assert len(answer.data[0]["embedding"]) > 1


@step("openai: responses")
def responses() -> None:
    answer = litellm.responses(input="Name a colour.", max_output_tokens=24, **BY_OPENAI)
    assert answer.output


@step("anthropic: completion, and streamed")
def by_anthropic() -> None:
    assert answered(**BY_ANTHROPIC)
    assert streamed(**BY_ANTHROPIC)


@step("anthropic: tools, demanded")
def anthropic_tools() -> None:
    answer = litellm.completion(messages=WARM, tools=[TOOL], tool_choice="required", max_tokens=100, **BY_ANTHROPIC)
    (call, *_) = answer.choices[0].message.tool_calls
    assert "city" in json.loads(call.function.arguments)


@step("ollama: completion, and streamed, with the body's type told")
def by_ollama() -> None:
    """It sends bodies without a Content-Type, as a stranger's web page can, and our port asks for one."""
    assert answered(**BY_OLLAMA, **TOLD)
    assert streamed(**BY_OLLAMA, **TOLD)


@step("an unknown model is NotFoundError")
def unknown() -> None:
    try:
        litellm.completion(messages=ASKED, **{**BY_OPENAI, "model": "openai/no-such-model"})
    except litellm.NotFoundError:
        return
    raise AssertionError("a model that is not there answered")


litellm.suppress_debug_info = True
litellm.telemetry = False
run()
