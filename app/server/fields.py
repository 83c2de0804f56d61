"""The fields that every route for text takes, their ranges, and how they become a Generate.

A field that is absent or null has llama.cpp's default (`SamplingParams`), as with llama-server: temperature 0.8,
top_k 40, top_p 0.95, min_p 0.05. Unknown fields are ignored.
"""

from dataclasses import replace
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from app.server.api_error import NOT_SUPPORTED
from backends.protocol import Generate, SamplingParams

MAX_INT = 2**31 - 1
MAX_STOPS = 16
MAX_STOP_LENGTH = 1024

Prompt = Any  # what Generate.prompt takes


def not_supported(message: str) -> PydanticCustomError:
    """Understood, and refused with status 400. Raised within a validator."""
    return PydanticCustomError(NOT_SUPPORTED, "{reason}", {"reason": message})


def text(value: str) -> str:
    """JSON can carry halves of surrogate pairs, which are no characters and which no tokenizer takes."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"character {error.start} is half a surrogate pair") from None
    return value


def _stops(value: Any) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(stop, str) for stop in texts):
        raise ValueError("a string or a list of strings is expected")
    if len(texts) > MAX_STOPS or any(len(stop) > MAX_STOP_LENGTH for stop in texts):
        raise ValueError(f"at most {MAX_STOPS} strings of at most {MAX_STOP_LENGTH} characters are allowed")
    return tuple(text(stop) for stop in texts if stop)


def _token_limit(value: Any) -> int:
    if type(value) is not int or not (value == -1 or 1 <= value <= MAX_INT):
        raise ValueError("a whole number from 1 up is expected, or -1 for no limit")
    return value


def _choices(value: Any) -> int:
    if type(value) is not int or value < 1:
        raise ValueError("a whole number from 1 up is expected")
    if value > 1:
        raise not_supported("only one choice per prompt is offered (n = 1)")
    return value


STOP_SCHEMA = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
Stops = Annotated[Any, PlainValidator(_stops), WithJsonSchema(STOP_SCHEMA)]
TokenLimit = Annotated[Any, PlainValidator(_token_limit), WithJsonSchema({"type": "integer"})]
NumChoices = Annotated[Any, PlainValidator(_choices), WithJsonSchema({"type": "integer"})]


class StreamOptions(BaseModel):
    model_config = ConfigDict(strict=True)

    include_usage: bool | None = None


class TextFields(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    model: Annotated[str, AfterValidator(text)] | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    top_k: int | None = Field(None, ge=-1, le=MAX_INT, description="0 or -1: off")
    min_p: float | None = Field(None, ge=0, le=1)
    repeat_penalty: float | None = Field(None, gt=0, le=10)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    seed: int | None = Field(None, ge=-1, le=2**63 - 1, description="-1: a new one each time")
    max_tokens: TokenLimit | None = None
    max_completion_tokens: TokenLimit | None = None
    stop: Stops | None = None
    n: NumChoices | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    draft: bool | None = Field(None, description="false: no speculative drafting for this answer")
    ignore_eos: bool | None = None

    @property
    def includes_usage(self) -> bool:
        return bool(self.stream_options and self.stream_options.include_usage)

    def sampling(self) -> SamplingParams:
        given = self.model_dump(include=SAMPLING_FIELDS, exclude_none=True)
        if "top_k" in given:
            given["top_k"] = max(0, given["top_k"])
        if "seed" in given:  # the engine's seeds have 32 bits
            given["seed"] = None if given["seed"] == -1 else given["seed"] % 2**32
        return replace(SamplingParams(), **given)

    def generate(self, prompt: Prompt) -> Generate:
        limit = self.max_completion_tokens or self.max_tokens
        return Generate(
            prompt,
            sampling=self.sampling(),
            max_tokens=None if limit == -1 else limit,
            stop=self.stop or (),
            draft=self.draft is not False,
            ignore_eos=bool(self.ignore_eos),
        )


SAMPLING_FIELDS = {
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "repeat_penalty",
    "presence_penalty",
    "frequency_penalty",
    "seed",
}
