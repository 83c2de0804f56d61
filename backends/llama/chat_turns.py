"""Turns, tools and calls as chat templates expect them: OpenAI's shapes. Where origins are told, all that people and
models wrote is said."""

import json
from collections.abc import Iterable
from typing import Any

from backends.chat.json_text import entries
from backends.llama.chat_format import ASSISTANT, SYSTEM, TOOL, USER, ChatFormat
from backends.llama.said import Said, all_said
from backends.messages import Message, Tool, ToolCall

ROLES = frozenset({SYSTEM, USER, ASSISTANT, TOOL, "developer"})  # words of the format; others are people's
PARTS = "parts"  # in place of a field: thoughts are a part of the content


def shown(turns: Iterable[Message], form: ChatFormat, tracked: bool = False, mark: str = "") -> list[dict[str, Any]]:
    """mark: stands at the end of the last text."""
    messages = [_turn(turn, form, tracked) for turn in turns]
    if mark:
        _mark(messages[-1], mark)
    return messages


def shown_tools(tools: Iterable[Tool], form: ChatFormat, tracked: bool = False) -> list[dict[str, Any]] | None:
    """None where there are none, or the template would leave them out."""
    if not form.tools.takes_tools:
        return None
    return [_tool(tool, form.tools.wants_descriptions, tracked) for tool in tools] or None


def said_value(value: Any, tracked: bool) -> Any:
    """With all its texts said, the keys too."""
    if not tracked:
        return str.__str__(value) if isinstance(value, Said) else value
    match value:
        case str():
            return value if isinstance(value, Said) else all_said(value)
        case dict():
            return {said_value(key, tracked): said_value(each, tracked) for key, each in value.items()}
        case list():
            return [said_value(each, tracked) for each in value]
    return value


def _turn(turn: Message, form: ChatFormat, tracked: bool) -> dict[str, Any]:
    role = turn.role if turn.role in ROLES else said_value(turn.role, tracked)
    message = {"role": role, "content": _content(turn, form, tracked)}
    if turn.tool_calls:
        message["tool_calls"] = [_call(call, form.tools.wants_objects, tracked) for call in turn.tool_calls]
        if form.tools.wants_nothing and not turn.content:
            message["content"] = None
    if turn.tool_call_id is not None:
        message["tool_call_id"] = said_value(turn.tool_call_id, tracked)
    if turn.name is not None:
        message["name"] = said_value(turn.name, tracked)
    if turn.reasoning and form.reasoning.field not in (None, PARTS):
        message[form.reasoning.field] = said_value(turn.reasoning, tracked)
    return message


def _content(turn: Message, form: ChatFormat, tracked: bool) -> Any:
    text = said_value(turn.content, tracked)
    if turn.reasoning and form.reasoning.field == PARTS:
        thoughts = said_value(turn.reasoning, tracked)
        return [{"type": "thinking", "thinking": thoughts}, {"type": "text", "text": text}]
    return [{"type": "text", "text": text}] if form.wants_parts else text


def _mark(message: dict[str, Any], mark: str) -> None:
    if isinstance(message["content"], list):
        message["content"][-1]["text"] += mark
    else:
        message["content"] = (message["content"] or "") + mark


def _call(call: ToolCall, wants_objects: bool, tracked: bool) -> dict[str, Any]:
    arguments: Any = entries(call.arguments) if wants_objects else call.arguments or "{}"
    function = {"name": call.name, "arguments": arguments}
    return {"id": said_value(call.id, tracked), "type": "function", "function": said_value(function, tracked)}


def _tool(tool: Tool, wants_descriptions: bool, tracked: bool) -> dict[str, Any]:
    try:
        parameters = json.loads(tool.parameters)
    except (ValueError, RecursionError):
        parameters = {}
    if wants_descriptions:
        properties = parameters.get("properties") if isinstance(parameters, dict) else None
        for schema in properties.values() if isinstance(properties, dict) else ():
            if isinstance(schema, dict):
                schema.setdefault("description", "")
                schema.setdefault("type", "any")
    function = {"name": tool.name, "description": tool.description, "parameters": parameters}
    return {"type": "function", "function": said_value(function, tracked)}
