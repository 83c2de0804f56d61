"""POST /v1/completions: text or token ids go on, without a template."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any, Self

from fastapi import APIRouter, Request
from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema, model_validator
from starlette.responses import Response

from app.server.core.answer import Asked, answer, streamed
from app.server.core.choice import Choice
from app.server.core.fields import Refused, Whole, not_supported, text
from app.server.core.prompt import PROMPT_SCHEMA, as_prompt, as_tokens
from app.server.core.switchboard import Switchboard
from app.server.core.text_fields import MAX_ALTERNATIVES, MAX_CHOICES, Prompt, TextFields
from app.server.openai.fields import IGNORED, REFUSED
from app.server.openai.logprobs import Ruler, completion_logprobs
from app.server.openai.words import OpenAIWords, encode, quoted
from backends.protocol import Finish, Generate, Infill, Output

MAX_PROMPTS = 128
RAW = "a raw prompt has no thoughts that are told apart"
OF_CHATS = frozenset(
    {"chat_template_kwargs", "continue_final_message", "parse_tool_calls", "reasoning_effort", "reasoning_format"}
)


def _prompts(value: Any) -> tuple[str | tuple[int, ...], ...]:
    """A string, token ids, or a list of either: one prompt or several."""
    if isinstance(value, list) and (tokens := as_tokens(value)):
        return (tokens,)
    several = value if isinstance(value, list) else [value]
    if not 1 <= len(several) <= MAX_PROMPTS:
        raise ValueError(f"from 1 to {MAX_PROMPTS} prompts are expected")
    return tuple(as_prompt(each) for each in several)


LIST_SCHEMA = {"type": "array", "items": PROMPT_SCHEMA, "minItems": 1, "maxItems": MAX_PROMPTS}
SEVERAL_SCHEMA = {"anyOf": [*PROMPT_SCHEMA["anyOf"], LIST_SCHEMA]}


class CompletionRequest(TextFields):
    ignored = IGNORED | {"verbose"} | OF_CHATS
    refused = REFUSED | {
        "reasoning_budget_tokens": Refused(RAW, (-1,)),
        "thinking_budget_tokens": Refused(RAW, (-1,)),
    }

    prompt: Annotated[Any, PlainValidator(_prompts), WithJsonSchema(SEVERAL_SCHEMA)]
    logprobs: Whole | None = Field(None, ge=0, le=MAX_ALTERNATIVES, description="alternatives to each token")
    echo: bool | None = Field(None, description="the prompt comes before the answer, with logprobs if they are wanted")
    suffix: Annotated[str, AfterValidator(text)] | None = Field(
        None, description="what stands behind the answer, for models that were trained to fill in"
    )
    best_of: Whole | None = Field(
        None, ge=0, le=MAX_CHOICES, description="of so many answers the n are given that the model found likeliest"
    )

    @model_validator(mode="after")
    def _the_best_are_chosen_at_the_end(self) -> Self:
        if self.best_of and self.best_of < (self.n or 1):
            raise not_supported(f"it must not be less than n, which is {self.n or 1}", "best_of")
        if self.chooses and self.stream:
            reason = "the best answers are not known before all have ended, so they cannot be streamed"
            raise not_supported(reason, "best_of")
        return self

    @model_validator(mode="after")
    def _a_middle_has_a_text_before_it(self) -> Self:
        if self.suffix and not all(isinstance(each, str) for each in self.prompt):
            raise not_supported("the prompt is a text, too, where the middle of one is wanted", "suffix")
        if self.suffix and self.echo:
            raise not_supported("echo is for texts that are only gone on with", "suffix")
        return self

    @property
    def chooses(self) -> bool:
        return (self.best_of or 0) > (self.n or 1)

    @property
    def num_alternatives(self) -> int | None:
        return 0 if self.logprobs is None and self.chooses else self.logprobs

    @property
    def num_choices(self) -> int:
        return max(self.n or 1, self.best_of or 0)

    def asked(self) -> Asked:
        words = partial(
            CompletionWords,
            num_prompts=len(self.prompt),
            num_choices=self.num_choices,
            includes_usage=self.includes_usage,
            tells_progress=bool(self.return_progress),
            times_tokens=bool(self.timings_per_token),
            has_logprobs=self.logprobs is not None,
            num_best=(self.n or 1) if self.chooses else None,
        )
        prompts = [Infill(each, self.suffix) if self.suffix else each for each in self.prompt]
        return Asked(self.model, [self.choices(each) for each in prompts], words, bool(self.stream), self.name_of)

    def generate(self, prompt: Prompt) -> Generate:
        return replace(super().generate(prompt), prompt_logprobs=(self.logprobs or 0) if self.echo else None)


class CompletionWords(OpenAIWords):
    prefix, kind, chunk_kind = "cmpl", "text_completion", "text_completion"

    def __init__(self, *arguments: Any, has_logprobs: bool = False, num_best: int | None = None, **named: Any):
        """num_best: of each prompt's choices so many are given, the likeliest by their mean logprob; None: all."""
        super().__init__(*arguments, **named)
        self._num_best = num_best
        self._means = [Mean() for _ in self.choices]
        self._rulers = [Ruler() for _ in self.choices]
        self._has_logprobs = has_logprobs
        self._firsts: dict[int, bytes] = {}  # tokens of prompts that have no logprob, not said yet

    def add(self, index: int, output: Output) -> None:
        if self._num_best is not None:
            self._means[index].add(output)
            output = output if self._has_logprobs else replace(output, logprobs=())
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

    def told(self) -> list[Choice]:
        if self._num_best is None:
            return super().told()
        prompts = (self.choices[at : at + self._num_choices] for at in range(0, len(self.choices), self._num_choices))
        best = (sorted(each, key=self._likelihood, reverse=True)[: self._num_best] for each in prompts)
        return [choice for chosen in best for choice in chosen]

    def _likelihood(self, choice: Choice) -> float:
        return self._means[choice.index].value

    def whole_choice(self, choice: Choice) -> dict[str, Any]:
        return self._choice(choice, choice.text, choice.finish)

    def _choice(self, choice: Choice, said: str, finish: Finish | None = None) -> dict[str, Any]:
        logprobs = completion_logprobs(
            choice.take_logprobs(), self._rulers[choice.index], self._firsts.pop(choice.index, None)
        )
        return {"index": choice.index, "text": said, "logprobs": logprobs, "finish_reason": finish}


@dataclass(slots=True)
class Mean:
    """Of the logprobs of an answer's tokens."""

    total: float = 0.0
    count: int = 0

    def add(self, output: Output) -> None:
        self.total += sum(token.logprob for token in output.logprobs)
        self.count += len(output.logprobs)

    @property
    def value(self) -> float:
        """Of an answer without a token 0: the model was sure that there is nothing to say."""
        return self.total / self.count if self.count else 0.0


def completions_router(switchboard: Switchboard) -> APIRouter:
    router = APIRouter()

    @router.post("/v1/completions", responses=streamed("text/event-stream"))
    async def create_completion(body: CompletionRequest, request: Request) -> Response:
        return await answer(request, switchboard, body.asked())

    return router
