"""The fields of Anthropic's routes, and how they become a Generate."""

from dataclasses import replace
from functools import cached_property
from typing import Annotated, Any, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from app.server.anthropic.messages import ChatMessage, Content, texts
from app.server.anthropic.output import Format, OutputConfig
from app.server.anthropic.tools import Choice, OfferedTool, Thinking
from app.server.core.conditions import needs
from app.server.core.fields import MAX_INT, Fields, Refused, Whole, text
from app.server.core.sampling import SamplingFields
from app.server.core.text_fields import MAX_MODEL, MAX_STOP_LENGTH, MAX_STOPS, MAX_TOKENS
from app.server.core.tools import MAX_TOOLS, check_choice, effort_option, thinking
from backends.protocol import AS_IT_LIKES, Generate, Grammar, Message, Reads, Tool, ToolChoice

MAX_MESSAGES = 10_000

Stop = Annotated[str, Field(max_length=MAX_STOP_LENGTH), AfterValidator(text)]


NO_CALL = {"properties": {"type": {"enum": ["auto", "none"]}}}


class ChatFields(Fields):
    """Those that say what is read, which counting has too."""

    model_config = ConfigDict(
        json_schema_extra=needs("tool_choice", {"tools": {"type": "array", "minItems": 1}}, NO_CALL)
    )

    # who asks and pays, how quickly, and which other model may answer where this one would not
    ignored = frozenset(
        {"betas", "billing_policy", "cache_control", "fallback_credit_token", "fallbacks", "speed"}
        | {"user_profile_id", "workspace_id"}
    )
    refused = {  # noqa: RUF012
        "compaction": Refused("chats are not summarized"),
        "thread": Refused("no chats are kept here: send all of it"),
        "context_management": Refused("the chat is read as it is sent"),
        "mcp_servers": Refused("no other computer is asked", ([],)),
    }

    asked_by = {  # noqa: RUF012
        "grammar": ("output_config.format", "output_format", "tools"),
        "prompt": ("messages",),
    }

    model: Annotated[str, AfterValidator(text), Field(max_length=MAX_MODEL)]
    messages: list[ChatMessage] = Field(min_length=1, max_length=MAX_MESSAGES, fail_fast=True)
    system: Content | None = None
    tools: list[OfferedTool] | None = Field(None, max_length=MAX_TOOLS)
    tool_choice: Choice | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None
    output_format: Format | None = Field(None, description="what output_config's format was called before")

    @model_validator(mode="after")
    def _calls_can_be_made(self) -> Self:
        check_choice(self.choice, self.offered)
        return self

    @property
    def grammar(self) -> Grammar | None:
        """What holds the answer."""
        form = (self.output_config and self.output_config.format) or self.output_format
        return form.schema_ if form else None

    @property
    def options(self) -> dict[str, Any]:
        """What the template is told of thinking."""
        wish = None if self.thinking is None else self.thinking.type != "disabled"
        effort = self.output_config.effort if self.output_config else None
        return thinking(wish) | (effort_option(effort) if effort and wish is not False else {})

    @cached_property  # written out once: with many tools it holds up the port's loop
    def offered(self) -> tuple[Tool, ...]:
        return tuple(each.tool() for each in self.tools or ())

    @property
    def choice(self) -> ToolChoice:
        return self.tool_choice.choice() if self.tool_choice else AS_IT_LIKES

    def read(self) -> Generate:
        """All that makes the prompt."""
        return Generate(
            self.prompt(),
            continues=self.continues,
            tools=self.offered,
            tool_choice=self.choice,
            template_options=tuple(self.options.items()),
        )

    def prompt(self) -> tuple[Message, ...]:
        system = [Message("system", texts(self.system))] if self.system else []
        return (*system, *(message for turn in self.messages for message in turn.messages()))

    @property
    def continues(self) -> bool:
        """An assistant's turn at the end is the beginning of the answer."""
        last = self.messages[-1]
        return last.role == "assistant" and bool(texts(last.content))


class CountRequest(ChatFields):
    def wanted(self) -> Generate:
        return replace(self.read(), reads=Reads.PROMPT)


class MessagesRequest(ChatFields, SamplingFields):
    ignored = ChatFields.ignored | {"diagnostics", "inference_geo", "metadata", "service_tier"}
    refused = ChatFields.refused | {"container": Refused("no code is run here")}

    max_tokens: Whole = Field(ge=0, le=MAX_INT)
    stop_sequences: list[Stop] | None = Field(None, max_length=MAX_STOPS)
    stream: bool | None = None

    def generate(self) -> Generate:
        stop: tuple[Any, ...] = tuple(each for each in self.stop_sequences or () if each)
        return replace(
            self.read(),
            sampling=self.sampling(),
            max_tokens=min(self.max_tokens, MAX_TOKENS),
            stop=stop,
            max_thoughts=self.thinking.budget_tokens if self.thinking else None,
            grammar=self.grammar,
            # what a grammar holds is all answer, but beside tools
            is_parsed=self.grammar is None or bool(self.choice.among(self.offered)),
        )
