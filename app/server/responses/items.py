"""The items of a conversation as the Responses API writes them: what of them is kept, and what messages they make."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from app.server.core.fields import not_supported, only_text, text
from app.server.core.limits import MAX_QUOTED
from app.server.openai.messages import MAX_NAME
from backends.bounds import as_name
from backends.protocol import Message, ToolCall

MAX_ITEMS = 10_000
TEXTS = {"input_text": "text", "output_text": "text", "text": "text", "refusal": "refusal"}  # part: the key of its text
THOUGHTS = ("summary_text", "reasoning_text", "text")
ROLES = ("user", "assistant", "system", "developer")
MESSAGE, CALL, RESULT = "message", "function_call", "function_call_output"
REASONING, REFERENCE = "reasoning", "item_reference"

Item = dict[str, Any]

STRING, NAME = {"type": "string"}, {"type": "string", "maxLength": MAX_NAME}
NULL = {"type": "null"}
OWN_ID = {"id": {"anyOf": [NAME, NULL]}}


def _object(needed: dict[str, Any], others: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"type": "object", "properties": {**(others or {}), **needed}, "required": list(needed)}


PARTS = [_object({"type": {"const": kind}, key: STRING}) for kind, key in TEXTS.items()]
WORDS = {"anyOf": [STRING, {"type": "array", "items": {"anyOf": PARTS}}]}
THOUGHT = _object({"type": {"enum": list(THOUGHTS)}, "text": STRING})
THOUGHTS_SCHEMA = {"anyOf": [NULL, {"type": "array", "items": THOUGHT}]}
ITEMS = [
    _object({"role": {"enum": list(ROLES)}, "content": WORDS}, {"type": {"enum": [MESSAGE, None]}, **OWN_ID}),
    _object({"type": {"const": CALL}, "call_id": NAME, "name": NAME, "arguments": STRING}, OWN_ID),
    _object({"type": {"const": RESULT}, "call_id": NAME, "output": WORDS}, OWN_ID),
    _object({"type": {"const": REASONING}}, {"summary": THOUGHTS_SCHEMA, "content": THOUGHTS_SCHEMA, **OWN_ID}),
    _object({"id": NAME}, {"type": {"enum": [REFERENCE, None]}, "role": False}),
]
SCHEMA: dict[str, Any] = {
    "anyOf": [STRING, {"type": "array", "items": {"anyOf": ITEMS}, "maxItems": MAX_ITEMS}],
}


def new_id(prefix: str) -> str:
    return f"{prefix}_{uuid.uuid4().hex}"


def as_items(value: Any) -> list[Item]:
    """A string is a message of the person's. Of each item what is understood, with an id. Raises ValueError."""
    if isinstance(value, str):
        value = [{"role": "user", "content": value}]
    if not isinstance(value, list):
        raise ValueError("a string or a list of items is expected")
    if len(value) > MAX_ITEMS:
        raise ValueError(f"at most {MAX_ITEMS} items are allowed")
    return [_item(each) for each in value]


def _item(given: Any) -> Item:
    if not isinstance(given, dict):
        raise ValueError("each item is an object")
    kind = given.get("type")
    if kind is None:
        kind = MESSAGE if "role" in given else REFERENCE
    match kind:
        case "message":
            return _message(given)
        case "function_call":
            said = {"call_id": _name(given, "call_id"), "name": _name(given, "name")}
            return _known(CALL, "fc", given) | said | {"arguments": _string(given, "arguments")}
        case "function_call_output":
            output = given.get("output")
            said = {
                "call_id": _name(given, "call_id"),
                "output": text(output if isinstance(output, str) else _joined(output)),
            }
            return _known(RESULT, "fco", given) | said
        case "reasoning":
            told = {"summary": _thoughts(given, "summary", "summary_text")}
            return _known(REASONING, "rs", given) | told | {"content": _thoughts(given, "content", "reasoning_text")}
        case "item_reference":
            return {"type": REFERENCE, "id": _name(given, "id")}
        case _:
            raise not_supported(f"items of type “{as_name(str(kind), MAX_QUOTED)}” are not supported")


def _message(given: Item) -> Item:
    role, content = given.get("role"), given.get("content")
    if role not in ROLES:
        raise ValueError(f"a message has one of the roles {', '.join(ROLES)}")
    texts = [text(content)] if isinstance(content, str) else _texts(content)
    kind = {"type": "output_text", "annotations": []} if role == "assistant" else {"type": "input_text"}
    return _known(MESSAGE, "msg", given) | {"role": role, "content": [{**kind, "text": each} for each in texts]}


def _known(kind: str, prefix: str, given: Item) -> Item:
    named = {"id": _name(given, "id") if given.get("id") is not None else new_id(prefix)}
    return {"type": kind, **named, "status": "completed"}


def _texts(content: Any) -> list[str]:
    if not isinstance(content, list):
        raise ValueError("a string or a list of parts is expected")
    return [_part(part) for part in content]


def _joined(content: Any) -> str:
    return "\n".join(_texts(content))


def _part(part: Any) -> str:
    if not isinstance(part, dict) or not isinstance(part.get("type"), str):
        raise ValueError("each part is an object with a type")
    if part["type"] not in TEXTS:
        raise only_text(part["type"], "parts")
    return _string(part, TEXTS[part["type"]])


def _thoughts(given: Item, key: str, kind: str) -> list[Item]:
    parts = [] if given.get(key) is None else given[key]
    if not isinstance(parts, list) or not all(
        isinstance(part, dict) and part.get("type") in THOUGHTS for part in parts
    ):
        raise ValueError(f"{key} is a list of parts of thoughts")
    return [{"type": kind, "text": _string(part, "text")} for part in parts]


def _string(given: Item, key: str) -> str:
    if not isinstance(given.get(key), str):
        raise ValueError(f"{key}, a string, is expected")
    return text(given[key])


def _name(given: Item, key: str) -> str:
    if len(name := _string(given, key)) > MAX_NAME:
        raise ValueError(f"{key} has at most {MAX_NAME} characters")
    return name


@dataclass(slots=True)
class _Turn:
    """Of the assistant, as far as it has come: thoughts, then what it says, then its calls."""

    thoughts: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)

    @property
    def messages(self) -> list[Message]:
        if not (self.thoughts or self.said or self.calls):
            return []
        thoughts = "\n".join(self.thoughts) or None
        return [Message("assistant", "\n".join(self.said), tuple(self.calls), reasoning=thoughts)]


def messages(items: Iterable[Item]) -> tuple[Message, ...]:
    """Thoughts, words and calls that follow one another are one turn. Raises ValueError at a reference."""
    made: list[Message] = []
    turn = _Turn()
    for item in items:
        if item["type"] == CALL:
            turn.calls.append(ToolCall(item["call_id"], item["name"], item["arguments"]))
            continue
        is_assistants = item["type"] == REASONING or (item["type"] == MESSAGE and item["role"] == "assistant")
        if not is_assistants or turn.said or turn.calls:
            made += turn.messages
            turn = _Turn()
        if item["type"] == REASONING:
            turn.thoughts.extend(part["text"] for part in item["content"] or item["summary"])
        elif is_assistants:
            turn.said.append(_said(item))
        else:
            made.append(_other(item))
    return (*made, *turn.messages)


def _other(item: Item) -> Message:
    if item["type"] == RESULT:
        return Message("tool", item["output"], tool_call_id=item["call_id"])
    role = "system" if item["role"] == "developer" else item["role"]
    return Message(role, _said(item))


def _said(item: Item) -> str:
    """Its parts, each a line, as in a chat's messages."""
    return "\n".join(part["text"] for part in item["content"])
