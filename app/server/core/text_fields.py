"""The fields that OpenAI's and llama-server's routes for text share, their ranges, and how they become a Generate.

How a token is chosen stands in `sampling`.
"""

from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AliasChoices, ConfigDict, Field, PlainValidator, WithJsonSchema, model_validator

from app.server.core.fields import MAX_INT, Part, Refused, Whole, refuse, text
from app.server.core.grammar import HOLDERS, GrammarFields
from app.server.core.sampling import SamplingFields
from backends.protocol import Generate, Overflow

MAX_STOPS = 64
MAX_MODEL = 1024  # characters of a name
MAX_TOKENS = 2**20  # of one answer, whatever is asked for: engine and program remember all of it
MAX_STOP_LENGTH = 1024
MAX_ALTERNATIVES = 20
MAX_CHOICES = 8
MAX_DRAFT = 16
MAX_ADAPTERS = 64
MAX_SCALE = 100.0
KEPT = Refused("the first quarter stays where the context rolls", (0,))
OWN_MARKS = "thoughts begin and end as the model writes them"

Prompt = Any  # what Generate.prompt takes


def _stops(value: Any) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(stop, str) for stop in texts):
        raise ValueError("a string or a list of strings is expected")
    if len(texts) > MAX_STOPS or any(len(stop) > MAX_STOP_LENGTH for stop in texts):
        raise ValueError(f"at most {MAX_STOPS} strings of at most {MAX_STOP_LENGTH} characters are allowed")
    return tuple(text(stop) for stop in texts if stop)


ONE_STOP = {"type": "string", "maxLength": MAX_STOP_LENGTH}
STOP_SCHEMA = {"anyOf": [ONE_STOP, {"type": "array", "items": ONE_STOP, "maxItems": MAX_STOPS}]}
Stops = Annotated[Any, PlainValidator(_stops), WithJsonSchema(STOP_SCHEMA)]
TokenLimit = Annotated[Whole, Field(ge=-1, le=MAX_INT)]


class StreamOptions(Part):
    include_usage: bool | None = None


class AdapterScale(Part):
    """One of the adapters that the model was loaded with, as llama-server names it: by its place in the list."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    id: Whole = Field(ge=0, le=MAX_INT)
    scale: float = Field(ge=-MAX_SCALE, le=MAX_SCALE)


HOW_IT_DRAFTS = (
    *("speculative.n_min", "speculative.p_min", "speculative.type"),
    *("speculative.ngram_size_n", "speculative.ngram_size_m", "speculative.ngram_min_hits"),
)


class TextFields(SamplingFields, GrammarFields):
    # how llama-server goes about it, whatever is answered
    ignored = frozenset(
        {"dynatemp_exponent", "id_slot", "n_cache_reuse", "n_discard", "n_keep"}
        | {"sse_ping_interval", "backend_sampling", "adaptive_decay", *HOW_IT_DRAFTS}
    )
    refused = {  # noqa: RUF012
        "adaptive_target": Refused("what has been said does not change how tokens are chosen", (-1,)),
        # what llama-server's own layer for chats tells the one below it
        "chat_format": Refused("it is found in the model's template", (0,)),
        "chat_parser": Refused("answers are parsed as the model's template writes them", ("",)),
        "grammar_lazy": Refused("a grammar holds from the first token", (False,)),
        "grammar_triggers": Refused("a grammar holds from the first token", ([],)),
        "grammar_type": Refused("a grammar is what it says", ("", "user")),
        "preserved_tokens": Refused("control tokens are no text", ([],)),
        "reasoning_budget_end_tag": Refused(OWN_MARKS, ("",)),
        "reasoning_budget_end_tags": Refused(OWN_MARKS, ([],)),
        "reasoning_budget_message": Refused("thoughts end without a message", ("",)),
        "reasoning_budget_start_tag": Refused(OWN_MARKS, ("",)),
        "dynatemp_range": Refused("the temperature stays as it is", (0,)),
        "min_keep": Refused("filters keep what they keep", (0, 1)),
        "n_cmpl": Refused("it is called n here", (1,)),
        "n_indent": Refused("lines may begin as they like", (0,)),
        "post_sampling_probs": Refused("logprobs are the model's own, from before the filters", (False,)),
        "response_fields": Refused("the whole answer is given", ([],)),
        "return_tokens": Refused("answers are texts", (False,)),
        "samplers": Refused("the order of the filters is llama.cpp's", ([],)),
        "t_max_predict_ms": Refused("set max_tokens", (0, -1)),
    }

    asked_by = {  # noqa: RUF012
        "adapters": ("lora",),
        "grammar": HOLDERS,
        "penalty_last_n": ("repeat_last_n",),
        "prompt": ("prompt",),
    }

    model: Annotated[str, AfterValidator(text), Field(max_length=MAX_MODEL)] | None = None
    max_tokens: TokenLimit | None = Field(
        None, validation_alias=AliasChoices("max_tokens", "n_predict"), description="-1: no limit"
    )
    max_completion_tokens: TokenLimit | None = None
    stop: Stops | None = None
    n: Whole | None = Field(None, ge=1, le=MAX_CHOICES)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    return_progress: bool | None = Field(
        None,
        description="true: a stream tells in prompt_progress how far the prompt has been read, as llama-server does",
    )
    timings_per_token: bool | None = Field(
        None, description="true: a stream tells in timings how fast it comes, with every piece of text"
    )
    cache_prompt: bool | None = Field(
        None, description="false: all of the prompt is read anew, whatever the cache holds of it"
    )
    draft: bool | None = Field(None, description="false: no speculative drafting for this answer")
    draft_length: Whole | None = Field(
        None,
        ge=0,
        le=MAX_DRAFT,
        validation_alias=AliasChoices("draft_length", "speculative.n_max"),
        description="draft tokens per step at most; 0: none",
    )
    lora: list[AdapterScale] | None = Field(
        None, max_length=MAX_ADAPTERS, description="LoRA adapters of this answer; those not named are off"
    )
    ignore_eos: bool | None = None
    special: bool | None = Field(
        None,
        description="whether control tokens written in the prompt's text are read as such; by default those of a raw "
        "prompt are, those that people wrote into messages are not",
    )
    context_overflow: Literal["error", "roll"] | None = Field(
        None, description="roll: beyond the context the answer goes on without the older half of it; error: it ends"
    )

    @model_validator(mode="before")
    @classmethod
    def _what_rolls_is_chosen_here(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("context_overflow") == Overflow.ROLL:
            refuse({"n_keep": KEPT, "n_discard": KEPT}, given)
        return given

    @property
    def includes_usage(self) -> bool:
        return bool(self.stream_options and self.stream_options.include_usage)

    @property
    def num_alternatives(self) -> int | None:
        """To each token, with logprobs; None when these are not wanted. Each route has names of its own for it."""
        return None

    @property
    def num_choices(self) -> int:
        """Per prompt."""
        return self.n or 1

    def choices(self, prompt: Prompt) -> list[Generate]:
        """One request per choice; their seeds follow one another, so that each can be had again alone. A prompt that is
        to be read anew is so for the first; the others take it from there."""
        first = self.generate(prompt)
        seed = first.sampling.seed
        seeds = [None if seed is None else (seed + index) % 2**32 for index in range(self.num_choices)]
        return [
            replace(first, sampling=replace(first.sampling, seed=seed), reuses=first.reuses or index > 0)
            for index, seed in enumerate(seeds)
        ]

    def generate(self, prompt: Prompt) -> Generate:
        limit = self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens
        return Generate(
            prompt,
            sampling=self.sampling(),
            max_tokens=None if limit is None or limit == -1 else min(limit, MAX_TOKENS),
            stop=self.stop or (),
            draft=self.draft is not False,
            reuses=self.cache_prompt is not False,
            draft_length=self.draft_length,
            # as with llama-server, an empty list is none
            adapters=tuple((adapter.id, adapter.scale) for adapter in self.lora) if self.lora else None,
            ignore_eos=bool(self.ignore_eos),
            special=self.special,
            logprobs=self.num_alternatives,
            grammar=self.wanted_grammar(),
            overflow=Overflow(self.context_overflow or Overflow.ERROR),
        )
