"""The messages of a chat as OpenAI writes them, made the protocol's own."""

import json
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, PlainValidator, WithJsonSchema, model_validator

from app.server.core.fields import Part, not_supported, only_text, text
from app.server.core.tools import MAX_CALLS
from backends.protocol import Message, ToolCall

MAX_NAME = 256  # characters
TEXTS = {"text": "text", "refusal": "refusal"}  # part of this type: the key of its text


def _content(content: Any) -> str | None:
    """A string, or the text parts of a list, each a line as with llama-server; null is a turn without words."""
    if isinstance(content, str):
        return text(content)
    if content is None:
        return None
    if not isinstance(content, list):
        raise ValueError("a string or a list of parts is expected")
    return "\n".join(_part_text(part) for part in content)


def _part_text(part: Any) -> str:
    if not isinstance(part, dict) or not isinstance(part.get("type"), str):
        raise ValueError("each part is an object with a type")
    if part["type"] not in TEXTS:
        raise only_text(part["type"], "parts")
    said = part.get(TEXTS[part["type"]])
    if not isinstance(said, str):
        raise ValueError("a text part has a text")
    return text(said)


def _arguments(value: Any) -> str:
    """JSON text; some programs give the object itself, or null where there are none."""
    if not isinstance(value, str | dict | None):
        raise ValueError("JSON text, or an object, is expected")
    return text(value if isinstance(value, str) else json.dumps(value or {}, ensure_ascii=False))


PART_SCHEMAS = [
    {"type": "object", "properties": {"type": {"const": kind}, key: {"type": "string"}}, "required": ["type", key]}
    for kind, key in TEXTS.items()
]
PARTS_SCHEMA: dict[str, Any] = {"type": "array", "items": {"anyOf": PART_SCHEMAS}}
CONTENT_SCHEMA = {"anyOf": [{"type": "string"}, PARTS_SCHEMA, {"type": "null"}]}
ARGUMENTS_SCHEMA = {"anyOf": [{"type": "string"}, {"type": "object"}, {"type": "null"}]}
Content = Annotated[Any, PlainValidator(_content), WithJsonSchema(CONTENT_SCHEMA)]
Text = Annotated[str, PlainValidator(lambda value: text(_string(value))), WithJsonSchema({"type": "string"})]
Name = Annotated[Text, Field(max_length=MAX_NAME)]


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a string is expected")
    return value


class CalledFunction(Part):
    name: Name
    arguments: Annotated[str, PlainValidator(_arguments), WithJsonSchema(ARGUMENTS_SCHEMA)] = "{}"


class Call(Part):
    function: CalledFunction
    id: Name | None = None
    type: Literal["function"] | None = None

    def call(self) -> ToolCall:
        return ToolCall(self.id or "", self.function.name, self.function.arguments)


WORDLESS = ("assistant", "function")  # of these OpenAI takes null: a turn of calls alone, and a result of nothing
WORDS_SCHEMA = {"anyOf": [{"type": "string"}, PARTS_SCHEMA]}
ROLES_SCHEMA: list[Any] = [
    {"properties": {"content": WORDS_SCHEMA}, "required": ["content"]},
    {"properties": {"role": {"enum": list(WORDLESS)}}},
]


class ChatMessage(Part):
    model_config = ConfigDict(strict=True, json_schema_extra={"anyOf": ROLES_SCHEMA})

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Content = None
    name: Name | None = None
    tool_calls: list[Call] | None = Field(None, max_length=MAX_CALLS)
    function_call: CalledFunction | None = Field(None, description="what tool_calls were before there were several")
    tool_call_id: Name | None = None
    reasoning_content: Text | None = None
    reasoning: Text | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "ChatMessage":
        if self.content is None and self.role not in WORDLESS:
            reason = f'it is needed: a message of the role {self.role} says something, if only nothing ("")'
            raise not_supported(reason, "content")
        return self

    def message(self) -> Message:
        """`developer` is OpenAI's newer name of what templates call `system`, `function` its older one of `tool`."""
        calls = [call.call() for call in self.tool_calls or ()]
        if self.function_call:
            calls.append(ToolCall("", self.function_call.name, self.function_call.arguments))
        return Message(
            ROLES.get(self.role, self.role),
            self.content or "",
            tool_calls=tuple(calls),
            tool_call_id=self.tool_call_id,
            name=self.name,
            reasoning=self.reasoning_content or self.reasoning,
        )


ROLES = {"developer": "system", "function": "tool"}


def messages(given: Iterable[ChatMessage]) -> tuple[Message, ...]:
    return tuple(each.message() for each in given)
