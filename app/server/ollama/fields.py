"""The fields of Ollama's routes, and how they become a Generate."""

import json
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    Field,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)

from app.server.core.fields import MAX_INT, Fields, Part, Refused, Whole, refuse, text
from app.server.core.grammar import ANY_OBJECT, schema
from app.server.core.sampling import SamplingFields
from app.server.core.text_fields import KEPT, MAX_MODEL, MAX_STOP_LENGTH, MAX_STOPS, MAX_TOKENS, STOP_SCHEMA
from app.server.core.tools import MAX_CALLS, MAX_TOOLS, as_object, thinking, tool
from app.server.ollama.keep_alive import KeepAlive
from backends.protocol import Generate, Grammar, Message, Overflow, Tool, ToolCall

MAX_MESSAGES = 10_000
NO_IMAGES = Refused("images cannot be looked at", ([],))
NO_PICTURES = "answers are texts; there are no pictures"
AT_THE_LOAD = frozenset(
    {"numa", "num_ctx", "num_batch", "num_gpu", "main_gpu", "low_vram", "f16_kv", "vocab_only", "use_mmap"}
    | {"use_mlock", "num_thread", "num_keep"}
)

Text = Annotated[str, AfterValidator(text)]
Stop = Annotated[Text, Field(max_length=MAX_STOP_LENGTH)]


def _format(value: Any) -> Grammar | None:
    if value == "":
        return None
    return schema(ANY_OBJECT if value == "json" else value)


FORMAT_SCHEMA = {"anyOf": [{"enum": ["", "json"]}, {"type": "object"}]}


class Options(SamplingFields):
    """What is chosen when a model is loaded is chosen in Slipstream; a prompt that does not fit is refused, not cut."""

    ignored = AT_THE_LOAD
    refused = {  # noqa: RUF012
        "embedding_only": Refused("this route writes text", (False,)),
        "logits_all": Refused("ask for logprobs elsewhere", (False,)),
        "penalize_newline": Refused("lines are penalized like other words", (True,)),
        "tfs_z": Refused("tail-free sampling is not there; min_p is", (1,)),
    }

    num_predict: Whole | None = Field(None, ge=-2, le=MAX_INT, description="below 0: no limit")
    stop: Annotated[list[Stop], Field(max_length=MAX_STOPS), WithJsonSchema(STOP_SCHEMA)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_stop_is_a_list(cls, given: Any) -> Any:
        if isinstance(given, dict) and isinstance(given.get("stop"), str):
            return {**given, "stop": [given["stop"]]}
        return given


class OllamaFields(Fields):
    refused = {  # noqa: RUF012
        "_debug_render_only": Refused("/apply-template tells what the template writes", (False,)),
        "truncate": Refused("a prompt that does not fit is refused, not cut", (False,)),
        "logprobs": Refused("they are given at /v1/chat/completions", (False,)),
        "top_logprobs": Refused("they are given at /v1/chat/completions", (0,)),
    }

    asked_by = {"grammar": ("format",), "logit_bias": ("options.logit_bias",)}  # noqa: RUF012

    model: Annotated[Text, Field(max_length=MAX_MODEL)]
    stream: bool | None = Field(None, description="true unless it is said otherwise")
    options: Options | None = None
    format: Annotated[Any, PlainValidator(_format), WithJsonSchema(FORMAT_SCHEMA)] | None = None

    keep_alive: KeepAlive = None
    shift: bool | None = Field(
        None, description="true: beyond the context the answer goes on without the older half of it; false: it ends"
    )
    think: bool | Literal["low", "medium", "high"] | None = Field(
        None, description="None: as the model's template likes"
    )

    @model_validator(mode="before")
    @classmethod
    def _what_rolls_is_chosen_here(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("shift") is True and isinstance(given.get("options"), dict):
            refuse({"options.num_keep": KEPT}, {"options.num_keep": given["options"].get("num_keep")})
        return given

    @property
    def streams(self) -> bool:
        return self.stream is not False

    def generate(self, prompt: tuple[Message, ...] | str, continues: bool = False) -> Generate:
        options = self.options or Options.model_validate({})
        limit = options.num_predict
        return Generate(
            prompt,
            sampling=options.sampling(),
            max_tokens=None if limit is None or limit < 0 else min(limit, MAX_TOKENS),
            stop=tuple(each for each in options.stop or () if each),
            grammar=self.format,
            continues=continues,
            overflow=Overflow.ROLL if self.shift else Overflow.ERROR,
            template_options=tuple(thinking(self.think).items()),
            # what a grammar holds is all answer, and a raw prompt's too
            is_parsed=self.format is None and not isinstance(prompt, str),
        )


class CalledFunction(Part):
    name: Text
    arguments: dict[str, Any] = Field(default_factory=dict)


class Call(Part):
    function: CalledFunction

    def call(self) -> ToolCall:
        return ToolCall("", self.function.name, json.dumps(self.function.arguments, ensure_ascii=False))


class ChatMessage(Fields):
    refused = {"images": NO_IMAGES}  # noqa: RUF012

    role: Literal["system", "user", "assistant", "tool"]
    content: Text | None = None
    thinking: Text | None = None
    tool_calls: list[Call] | None = Field(None, max_length=MAX_CALLS)
    tool_name: Text | None = None

    def message(self) -> Message:
        calls = tuple(call.call() for call in self.tool_calls or ())
        return Message(self.role, self.content or "", calls, name=self.tool_name, reasoning=self.thinking)


class Function(Part):
    name: Annotated[Text, Field(min_length=1, max_length=256)]
    description: Text | None = None
    parameters: Annotated[dict[str, Any], PlainValidator(as_object), WithJsonSchema({"type": "object"})] | None = None


class OfferedTool(Part):
    type: Literal["function"] = "function"
    function: Function

    def tool(self) -> Tool:
        return tool(self.function.name, self.function.description, self.function.parameters, None)


class ChatRequest(OllamaFields):
    asked_by = OllamaFields.asked_by | {"grammar": ("format", "tools"), "prompt": ("messages",)}

    tools: list[OfferedTool] | None = Field(None, max_length=MAX_TOOLS)
    messages: list[ChatMessage] | None = Field(
        None, max_length=MAX_MESSAGES, fail_fast=True, description="none: load the model"
    )

    def wanted(self) -> Generate | None:
        """None: only the model itself."""
        if not self.messages:
            return None
        last = self.messages[-1]
        continues = last.role == "assistant" and bool(last.content)
        wanted = self.generate(tuple(each.message() for each in self.messages), continues)
        tools = tuple(each.tool() for each in self.tools or ())
        return replace(wanted, tools=tools, is_parsed=wanted.is_parsed or bool(tools))


class GenerateRequest(OllamaFields):
    refused = OllamaFields.refused | {
        "height": Refused(NO_PICTURES, (0,)),
        "steps": Refused(NO_PICTURES, (0,)),
        "width": Refused(NO_PICTURES, (0,)),
        "context": Refused("send the earlier turns to /api/chat", ([],)),
        "images": NO_IMAGES,
        "suffix": Refused("text is only continued, not filled in", ("",)),
        "template": Refused("the model's own template is used", ("",)),
    }

    asked_by = OllamaFields.asked_by | {"prompt": ("prompt",)}

    prompt: Text | None = Field(None, description="none: load the model")
    system: Text | None = None
    raw: bool | None = Field(None, description="true: the prompt goes on as it is, without the model's template")

    def wanted(self) -> Generate | None:
        """None: only the model itself."""
        if not self.prompt:
            return None
        if self.raw:
            return self.generate(self.prompt)
        system = [Message("system", self.system)] if self.system else []
        return self.generate((*system, Message("user", self.prompt)))


class ShowRequest(Fields):
    ignored = frozenset({"verbose"})

    model: Annotated[Text, Field(max_length=MAX_MODEL)] = Field(validation_alias=AliasChoices("model", "name"))
