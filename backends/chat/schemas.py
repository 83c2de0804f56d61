"""The parameters of tools as parts of one JSON schema, in which their references still lead where they led."""

from collections.abc import Iterable
from typing import Any

from backends.chat.json_text import loaded
from backends.messages import Tool

PLACE = "$defs"


def object_of(entries: dict[str, Any]) -> dict[str, Any]:
    """With just these entries, all required."""
    return {"type": "object", "properties": entries, "required": list(entries), "additionalProperties": False}


def parameters_of(tool: Tool, number: int = 0) -> Any:
    """number: by which its references go on leading into it, as a part of what `rooted` makes."""
    parameters = loaded(tool.parameters)
    return _moved(parameters, f"#/{PLACE}/{number}") if _refers(tool) else parameters


def property_of(tool: Tool, schema: Any) -> Any:
    """A schema of one of its arguments, by itself."""
    return rooted(_moved(schema, f"#/{PLACE}/0"), [tool]) if _refers(tool) else schema


def rooted(schema: Any, tools: Iterable[Tool]) -> Any:
    """With all that references lead to."""
    places = {str(number): parameters_of(tool, number) for number, tool in enumerate(tools) if _refers(tool)}
    return schema | {PLACE: places} if places and isinstance(schema, dict) else schema


def _refers(tool: Tool) -> bool:
    return '"$ref"' in tool.parameters


def _moved(value: Any, place: str) -> Any:
    """A local reference begins at the new place."""
    if isinstance(value, list):
        return [_moved(each, place) for each in value]
    if not isinstance(value, dict):
        return value
    moved = {key: _moved(each, place) for key, each in value.items()}
    target = moved.get("$ref")
    if isinstance(target, str) and target.startswith("#"):
        moved["$ref"] = place + target[1:]
    return moved
