"""POST /v1/completions: text or token ids go on, without a template."""

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import Field, PlainValidator, WithJsonSchema
from starlette.responses import Response

from app.server.core.answer import answer
from app.server.core.fields import MAX_ALTERNATIVES, TextFields
from app.server.core.sampling import MAX_INT, text
from app.server.core.switchboard import Switchboard
from app.server.openai.form import Choice, Chunk, Form
from app.server.openai.logprobs import completion_logprobs
from backends.protocol import Finish

MAX_PROMPTS = 128


def _prompts(value: Any) -> tuple[str | tuple[int, ...], ...]:
    """A string, token ids, or a list of either: one prompt or several."""
    several = value if isinstance(value, list) and not _is_tokens(value) else [value]
    if not 1 <= len(several) <= MAX_PROMPTS:
        raise ValueError(f"from 1 to {MAX_PROMPTS} prompts are expected")
    return tuple(_prompt(prompt) for prompt in several)


def _prompt(value: Any) -> str | tuple[int, ...]:
    if isinstance(value, str):
        return text(value)
    if isinstance(value, list) and _is_tokens(value):
        return tuple(value)
    raise ValueError("a string, a list of token ids, or a list of either is expected")


def _is_tokens(value: list[Any]) -> bool:
    return bool(value) and all(type(token) is int and 0 <= token <= MAX_INT for token in value)


TOKENS_SCHEMA = {"type": "array", "items": {"type": "integer"}}
ONE_SCHEMA = {"anyOf": [{"type": "string"}, TOKENS_SCHEMA]}
PROMPT_SCHEMA = {"anyOf": [*ONE_SCHEMA["anyOf"], {"type": "array", "items": ONE_SCHEMA}]}


class CompletionRequest(TextFields):
    prompt: Annotated[Any, PlainValidator(_prompts), WithJsonSchema(PROMPT_SCHEMA)]
    logprobs: int | None = Field(None, ge=0, le=MAX_ALTERNATIVES, description="alternatives to each token")

    @property
    def num_alternatives(self) -> int | None:
        return self.logprobs


class CompletionForm(Form):
    prefix, kind, chunk_kind = "cmpl", "text_completion", "text_completion"

    def text_choice(self, choice: Choice, said: str) -> Chunk:
        return _choice(choice, said)

    def final_choice(self, choice: Choice) -> Chunk:
        return _choice(choice, "", choice.finish)

    def whole_choice(self, choice: Choice) -> Chunk:
        return _choice(choice, choice.text, choice.finish)


def completions_router(switchboard: Switchboard) -> APIRouter:
    router = APIRouter()

    @router.post("/v1/completions")
    async def create_completion(body: CompletionRequest, request: Request) -> Response:
        exchange = switchboard.connect(body.model, [body.choices(prompt) for prompt in body.prompt])
        form_for = partial(
            CompletionForm,
            num_prompts=len(body.prompt),
            num_choices=body.num_choices,
            includes_usage=body.includes_usage,
        )
        return await answer(request, exchange, form_for, bool(body.stream))

    return router


def _choice(choice: Choice, said: str, finish: Finish | None = None) -> Chunk:
    logprobs = completion_logprobs(choice.take_logprobs(), choice.ruler)
    return {"index": choice.index, "text": said, "logprobs": logprobs, "finish_reason": finish}
