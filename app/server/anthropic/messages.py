"""The messages of a chat as Anthropic writes them, made the protocol's own."""

import json
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal

from pydantic import PlainValidator, WithJsonSchema

from app.server.core.fields import Part, only_text, text
from backends.protocol import Message, ToolCall

Block = dict[str, Any]
RESULT = "tool_result"


def _blocks(content: Any) -> list[Block]:
    """A string is a text block."""
    if isinstance(content, str):
        return [{"type": "text", "text": text(content)}]
    if not isinstance(content, list):
        raise ValueError("a string or a list of blocks is expected")
    return [_block(block) for block in content]


def _block(block: Any) -> Block:
    if not isinstance(block, dict) or not isinstance(block.get("type"), str):
        raise ValueError("each block is an object with a type")
    match block["type"]:
        case "text":
            return {"type": "text", "text": _text(block, "text")}
        case "thinking":
            return {"type": "thinking", "thinking": _text(block, "thinking")}
        case "redacted_thinking":  # thoughts that only their own server can read
            return {"type": "redacted_thinking"}
        case "tool_use":
            arguments = text(json.dumps(block.get("input", {}), ensure_ascii=False))
            return {"type": "tool_use", "id": _text(block, "id"), "name": _text(block, "name"), "arguments": arguments}
        case "tool_result":
            said = texts(_result("" if block.get("content") is None else block["content"]))
            return {"type": "tool_result", "id": _text(block, "tool_use_id"), "text": said}
    raise only_text(block["type"], "blocks")


def _result(content: Any) -> list[Block]:
    """What a tool has said: no result is within another one."""
    if isinstance(content, list) and any(isinstance(each, dict) and each.get("type") == RESULT for each in content):
        raise ValueError("a tool_result holds no other tool_result")
    return _blocks(content)


def _text(block: Block, key: str) -> str:
    if not isinstance(block.get(key), str):
        raise ValueError(f"a block of type {block['type']} has {key}, a string")
    return text(block[key])


def texts(blocks: Iterable[Block]) -> str:
    """Those of the text blocks, each a line of its own."""
    return "\n".join(block["text"] for block in blocks if block["type"] == "text")


def _object(kind: str, needed: tuple[str, ...], **others: Any) -> dict[str, Any]:
    said = {"type": {"const": kind}, **{name: {"type": "string"} for name in needed}}
    return {"type": "object", "properties": {**said, **others}, "required": list(said)}


PLAIN_BLOCKS = [
    _object("text", ("text",)),
    _object("thinking", ("thinking",)),
    _object("redacted_thinking", ()),
    _object("tool_use", ("id", "name")),
]
SAID: dict[str, Any] = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"anyOf": PLAIN_BLOCKS}}]}
A_RESULT = _object(RESULT, ("tool_use_id",), content={"anyOf": [*SAID["anyOf"], {"type": "null"}]})
BLOCKS_SCHEMA = {"type": "array", "items": {"anyOf": [*PLAIN_BLOCKS, A_RESULT]}}
CONTENT_SCHEMA = {"anyOf": [{"type": "string"}, BLOCKS_SCHEMA]}
Content = Annotated[list[Block], PlainValidator(_blocks), WithJsonSchema(CONTENT_SCHEMA)]


class ChatMessage(Part):
    role: Literal["user", "assistant", "system"]
    content: Content

    def messages(self) -> Iterator[Message]:
        """The results of tools are turns of their own, before what the person says to them."""
        for block in self.content:
            if block["type"] == "tool_result":
                yield Message("tool", block["text"], tool_call_id=block["id"])
        said = texts(self.content)
        calls = tuple(ToolCall(b["id"], b["name"], b["arguments"]) for b in self.content if b["type"] == "tool_use")
        thoughts = "\n".join(b["thinking"] for b in self.content if b["type"] == "thinking")
        if said or calls or thoughts or not any(block["type"] == "tool_result" for block in self.content):
            yield Message(self.role, said, calls, reasoning=thoughts or None)
