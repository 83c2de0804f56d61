"""The fields of the Responses API, and how they become a Generate."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    PlainValidator,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from app.server.core.conditions import at_least_one, both, needs
from app.server.core.fields import MAX_INT, Fields, Part, Refused, Whole, not_supported, text
from app.server.core.grammar import ANY_OBJECT, schema
from app.server.core.limits import MAX_QUOTED
from app.server.core.sampling import SamplingFields
from app.server.core.text_fields import MAX_ALTERNATIVES, MAX_MODEL, MAX_TOKENS
from app.server.core.tools import MAX_OPTIONS, MAX_TOOLS, NO_CALL, Effort, check_choice, thinking
from app.server.openai.fields import BOOKKEEPING
from app.server.openai.tools import Object
from app.server.responses.items import MESSAGE, REFERENCE, SCHEMA, Item, as_items, messages
from app.server.responses.tools import Choice, ChoiceField, OfferedTool
from backends.bounds import as_name
from backends.protocol import Generate, Grammar, Message, Overflow, Reads, Tool, ToolChoice

MAX_INSTRUCTIONS = 8 << 20  # characters, as many as a body can have
MAX_METADATA, MAX_KEY, MAX_VALUE = 16, 64, 512  # as OpenAI has them
LOGPROBS = "message.output_text.logprobs"
# of tools that are not there, and thoughts for a server's eyes alone, which ours are not
NEVER_THERE = frozenset(
    {"file_search_call.results", "web_search_call.results", "web_search_call.action.sources"}
    | {"message.input_image.image_url", "computer_call_output.output.image_url", "code_interpreter_call.outputs"}
    | {"reasoning.encrypted_content"}
)

Text = Annotated[str, AfterValidator(text)]
Items = Annotated[Any, PlainValidator(as_items), WithJsonSchema(SCHEMA)]


HAS_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"properties": {"type": {"enum": ["text", "json_object"]}}},
        {"properties": {"schema": {"type": "object"}}, "required": ["schema"]},
    ]
}


class TextFormat(Part):
    """{"type": "text"}, "json_object", or "json_schema" with name and schema beside it."""

    model_config = ConfigDict(strict=True, populate_by_name=True, json_schema_extra=HAS_SCHEMA)

    type: Literal["text", "json_object", "json_schema"]
    name: Text | None = None
    description: Text | None = None
    schema_: Object | None = Field(None, alias="schema")
    strict: bool | None = None

    @model_validator(mode="after")
    def _has_a_schema(self) -> Self:
        if self.type == "json_schema" and self.schema_ is None:
            raise not_supported("a format of type json_schema has one", "schema")
        self.grammar()
        return self

    def grammar(self) -> Grammar | None:
        return None if self.type == "text" else schema(ANY_OBJECT if self.schema_ is None else self.schema_)


class TextOptions(Part):
    format: TextFormat | None = None
    verbosity: Literal["low", "medium", "high"] | None = Field(None, json_schema_extra={"enum": ["medium", None]})

    @field_validator("verbosity")
    @classmethod
    def _only_as_it_is(cls, wanted: str | None) -> str | None:
        if wanted not in (None, "medium"):
            raise not_supported("say in the instructions how long the answer may be")
        return wanted


class Reasoning(Part):
    """summary: the thoughts are told under that name, whole; without it as what they are."""

    effort: Effort | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None
    generate_summary: Literal["auto", "concise", "detailed"] | None = None

    @property
    def wants_summary(self) -> bool:
        return bool(self.summary or self.generate_summary)


class ReadFields(Fields):
    """Those that say what is read, which counting has too."""

    model_config = ConfigDict(
        json_schema_extra=both(
            at_least_one(
                {"input": {"type": ["string", "array"], "minItems": 1}, "previous_response_id": {"type": "string"}}
            ),
            needs("tool_choice", {"tools": {"type": "array", "minItems": 1}}, {"enum": list(NO_CALL)}),
        )
    )

    refused = {  # noqa: RUF012
        "conversation": Refused("no conversations are kept by a name: give previous_response_id"),
        "prompt": Refused("no prompts are kept here: send instructions and input"),
    }

    asked_by = {  # noqa: RUF012
        "grammar": ("text.format", "tools"),
        "logprobs": ("top_logprobs",),
        "prompt": ("input",),
    }

    model: Annotated[Text, Field(max_length=MAX_MODEL)] | None = None
    input: Items | None = None
    instructions: Annotated[Text, Field(max_length=MAX_INSTRUCTIONS)] | None = None
    previous_response_id: Annotated[Text, Field(min_length=1, max_length=256)] | None = None
    tools: list[OfferedTool] | None = Field(None, max_length=MAX_TOOLS)
    tool_choice: ChoiceField | None = None
    parallel_tool_calls: bool | None = None
    reasoning: Reasoning | None = None
    text: TextOptions | None = None
    truncation: Literal["auto", "disabled"] | None = Field(
        None, description="auto: what is beyond the context is dropped from the middle; disabled: that is refused"
    )
    chat_template_kwargs: Object | None = Field(None, max_length=MAX_OPTIONS)

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if not self.input and self.previous_response_id is None:
            raise not_supported("this or previous_response_id is needed", "input")
        return self

    @model_validator(mode="after")
    def _calls_can_be_made(self) -> Self:
        check_choice(self.choice, self.offered)
        return self

    @property
    def _wanted(self) -> Choice:
        return self.tool_choice or Choice()

    @cached_property  # written out once: with many tools it holds up the port's loop
    def offered(self) -> tuple[Tool, ...]:
        among = self._wanted.among
        return tuple(each.tool() for each in self.tools or () if among is None or each.name in among)

    @property
    def choice(self) -> ToolChoice:
        return replace(self._wanted.choice, is_parallel=self.parallel_tool_calls is not False)

    @property
    def may_call(self) -> bool:
        return bool(self.choice.among(self.offered))

    @property
    def grammar(self) -> Grammar | None:
        return self.text.format.grammar() if self.text and self.text.format else None

    @property
    def references(self) -> list[str]:
        """Ids of items that were answered before, of which the program sends no more."""
        return [item["id"] for item in self.input or () if item["type"] == REFERENCE]

    def read(self, history: Sequence[Item], items: Sequence[Item]) -> Generate:
        """All that makes the prompt. history: of the responses before. items: the input without references."""
        system = [Message("system", self.instructions)] if self.instructions else []
        effort = self.reasoning.effort if self.reasoning else None
        last = items[-1] if items else {}
        return Generate(
            (*system, *messages((*history, *items))),
            # an assistant's turn at the end is the beginning of the answer, as in a chat
            continues=last.get("type") == MESSAGE and last["role"] == "assistant" and bool(last["content"]),
            tools=self.offered,
            tool_choice=self.choice,
            template_options=tuple((thinking(effort) | (self.chat_template_kwargs or {})).items()),
            overflow=Overflow.ROLL if self.truncation == "auto" else Overflow.ERROR,
        )


class CountRequest(ReadFields):
    ignored = frozenset({"personality"})

    def wanted(self, history: Sequence[Item], items: Sequence[Item]) -> Generate:
        return replace(self.read(history, items), reads=Reads.PROMPT)


class ResponseRequest(ReadFields, SamplingFields):
    # a limit to calls of tools that are not there, how a stream is padded, and from where on a chat may be summarized
    # to save tokens: it is read whole, and what is too long for the context is refused
    ignored = (BOOKKEEPING - {"metadata", "store"}) | {"max_tool_calls", "stream_options", "context_management"}
    refused = ReadFields.refused | {
        "access_programs": Refused("there are none"),
        "background": Refused("an answer is waited for, or streamed", (False,)),
        "background_options": Refused("an answer is waited for, or streamed", ({},)),
        "image": Refused("there are no images yet", ({},)),
        "moderation": Refused("there is no moderation"),
    }

    include: list[Text] | None = Field(
        None, max_length=MAX_OPTIONS, json_schema_extra={"items": {"enum": [LOGPROBS, *sorted(NEVER_THERE)]}}
    )
    max_output_tokens: Whole | None = Field(None, ge=0, le=MAX_INT)
    metadata: dict[Annotated[Text, Field(max_length=MAX_KEY)], Annotated[Text, Field(max_length=MAX_VALUE)]] | None = (
        Field(None, max_length=MAX_METADATA)
    )
    return_progress: bool | None = Field(
        None, description="true: a stream tells in prompt_progress how far the prompt has been read"
    )
    timings_per_token: bool | None = Field(
        None, description="true: a stream tells in timings how fast it comes, with every piece of text"
    )
    store: bool | None = Field(None, description="false: it cannot be retrieved later, or gone on from")
    stream: bool | None = None
    top_logprobs: Whole | None = Field(None, ge=0, le=MAX_ALTERNATIVES)

    @field_validator("include")
    @classmethod
    def _only_what_there_is(cls, names: list[str] | None) -> list[str] | None:
        for name in names or ():
            if name != LOGPROBS and name not in NEVER_THERE:
                raise not_supported(f"“{as_name(name, MAX_QUOTED)}” is not known")
        return names

    @property
    def num_alternatives(self) -> int | None:
        wants = LOGPROBS in (self.include or ()) or bool(self.top_logprobs)
        return (self.top_logprobs or 0) if wants else None

    def generate(self, history: Sequence[Item], items: Sequence[Item]) -> Generate:
        limit = self.max_output_tokens
        return replace(
            self.read(history, items),
            sampling=self.sampling(),
            max_tokens=None if limit is None else min(limit, MAX_TOKENS),
            logprobs=self.num_alternatives,
            grammar=self.grammar,
            is_parsed=self.may_call or not self.grammar,
        )

    def told(self) -> dict[str, Any]:
        """What a response repeats of its request, with what was not said as it was taken."""
        reasoning = self.reasoning or Reasoning()
        format_ = (self.text and self.text.format) or TextFormat.model_validate({"type": "text"})
        sampling = self.sampling()
        return {
            "instructions": self.instructions,
            "max_output_tokens": self.max_output_tokens,
            "metadata": self.metadata or {},
            "parallel_tool_calls": self.parallel_tool_calls is not False,
            "previous_response_id": self.previous_response_id,
            "reasoning": {"effort": reasoning.effort, "summary": reasoning.summary or reasoning.generate_summary},
            "service_tier": "default",
            "store": self.store is not False,
            "temperature": sampling.temperature,
            "text": {"format": format_.model_dump(by_alias=True, exclude_none=True), "verbosity": "medium"},
            "tool_choice": self._wanted.given,
            "tools": [tool.told() for tool in self.tools or ()],
            "top_logprobs": self.top_logprobs or 0,
            "top_p": sampling.top_p,
            "truncation": self.truncation or "disabled",
        }
