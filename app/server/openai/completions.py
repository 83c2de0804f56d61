"""POST /v1/completions: text or token ids go on, without a template."""

from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import Field, PlainValidator, WithJsonSchema
from starlette.responses import Response

from app.server.core.answer import Asked, answer, streamed
from app.server.core.choice import Choice
from app.server.core.fields import Refused, Whole
from app.server.core.prompt import PROMPT_SCHEMA, as_prompt, is_tokens
from app.server.core.switchboard import Switchboard
from app.server.core.text_fields import MAX_ALTERNATIVES, Prompt, TextFields
from app.server.openai.fields import IGNORED, REFUSED
from app.server.openai.logprobs import Ruler, completion_logprobs
from app.server.openai.words import OpenAIWords, encode, quoted
from backends.protocol import Finish, Generate, Output

MAX_PROMPTS = 128


def _prompts(value: Any) -> tuple[str | tuple[int, ...], ...]:
    """A string, token ids, or a list of either: one prompt or several."""
    several = value if isinstance(value, list) and not is_tokens(value) else [value]
    if not 1 <= len(several) <= MAX_PROMPTS:
        raise ValueError(f"from 1 to {MAX_PROMPTS} prompts are expected")
    return tuple(as_prompt(each) for each in several)


LIST_SCHEMA = {"type": "array", "items": PROMPT_SCHEMA, "minItems": 1, "maxItems": MAX_PROMPTS}
SEVERAL_SCHEMA = {"anyOf": [*PROMPT_SCHEMA["anyOf"], LIST_SCHEMA]}


class CompletionRequest(TextFields):
    ignored = IGNORED | {"chat_template_kwargs", "parse_tool_calls", "reasoning_format"}  # of chats
    refused = REFUSED | {
        "best_of": Refused("ask for n answers and choose", (1,)),
        "suffix": Refused("text is only continued, not filled in", ("",)),
    }

    prompt: Annotated[Any, PlainValidator(_prompts), WithJsonSchema(SEVERAL_SCHEMA)]
    logprobs: Whole | None = Field(None, ge=0, le=MAX_ALTERNATIVES, description="alternatives to each token")
    echo: bool | None = Field(None, description="the prompt comes before the answer, with logprobs if they are wanted")

    @property
    def num_alternatives(self) -> int | None:
        return self.logprobs

    def asked(self) -> Asked:
        words = partial(
            CompletionWords,
            num_prompts=len(self.prompt),
            num_choices=self.num_choices,
            includes_usage=self.includes_usage,
            has_logprobs=self.logprobs is not None,
        )
        return Asked(self.model, [self.choices(each) for each in self.prompt], words, bool(self.stream))

    def generate(self, prompt: Prompt) -> Generate:
        return replace(super().generate(prompt), prompt_logprobs=(self.logprobs or 0) if self.echo else None)


class CompletionWords(OpenAIWords):
    prefix, kind, chunk_kind = "cmpl", "text_completion", "text_completion"

    def __init__(self, *arguments: Any, has_logprobs: bool = False, **named: Any):
        super().__init__(*arguments, **named)
        self._rulers = [Ruler() for _ in self.choices]
        self._has_logprobs = has_logprobs
        self._firsts: dict[int, bytes] = {}  # tokens of prompts that have no logprob, not said yet

    def add(self, index: int, output: Output) -> None:
        super().add(index, self._echoed(index, output))

    def go_on(self, index: int, output: Output) -> bytes:
        return super().go_on(index, self._echoed(index, output))

    def _echoed(self, index: int, output: Output) -> Output:
        """With the prompt before it, where that is to be repeated."""
        if output.prompt is None:
            return output
        first, others = output.prompt.first, output.prompt.others
        prompt = b"".join((first, *(token.piece for token in others))).decode("utf-8", "replace")
        if not self._has_logprobs:
            return replace(output, text=prompt + output.text)
        self._firsts[index] = first
        return replace(output, text=prompt + output.text, logprobs=(*others, *output.logprobs))

    def text_choice(self, choice: Choice, said: str) -> str:
        if choice.logprobs or choice.index in self._firsts:
            return encode(self._choice(choice, said))
        return f'{{"index":{choice.index},"text":{quoted(said)},"logprobs":null,"finish_reason":null}}'

    def final_choice(self, choice: Choice) -> dict[str, Any]:
        return self._choice(choice, "", choice.finish)

    def whole_choice(self, choice: Choice) -> dict[str, Any]:
        return self._choice(choice, choice.text, choice.finish)

    def _choice(self, choice: Choice, said: str, finish: Finish | None = None) -> dict[str, Any]:
        logprobs = completion_logprobs(
            choice.take_logprobs(), self._rulers[choice.index], self._firsts.pop(choice.index, None)
        )
        return {"index": choice.index, "text": said, "logprobs": logprobs, "finish_reason": finish}


def completions_router(switchboard: Switchboard) -> APIRouter:
    router = APIRouter()

    @router.post("/v1/completions", responses=streamed("text/event-stream"))
    async def create_completion(body: CompletionRequest, request: Request) -> Response:
        return await answer(request, switchboard, body.asked())

    return router
