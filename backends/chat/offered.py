"""The tools that a model was offered, as far as reading its calls takes: which names there are, and what kinds of
values their arguments may have."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from backends.chat.json_text import dumped, loaded, sound
from backends.chat.reader import Broken
from backends.messages import Tool

MAX_DEPTH = 8  # of `anyOf` within `anyOf`
PYTHONS = {"True": "true", "False": "false", "None": "null"}
KINDS = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}


class Offered:
    def __init__(self, tools: Iterable[Tool] = ()):
        self._properties = {tool.name: _properties(tool.parameters) for tool in tools}

    def __contains__(self, name: str) -> bool:
        return name in self._properties

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._properties)

    def key(self, name: str, place: int) -> str | None:
        """Of an argument that comes without its name."""
        keys = list(self._properties.get(name, ()))
        return keys[place] if place < len(keys) else None

    def is_text(self, name: str, key: str) -> bool:
        """Whether the argument can be nothing but a string."""
        return self._kinds(name, key) == {"string"}

    def value_of(self, name: str, key: str, text: str) -> str:
        """The argument as JSON, of a format that writes strings without quotes."""
        kinds = self._kinds(name, key)
        if kinds and "string" not in kinds:
            text = PYTHONS.get(text.strip(), text)
        try:
            value = loaded(text)
        except Broken:
            return dumped(text)
        if "string" in kinds and _kind(value) not in kinds:
            return dumped(text)
        return sound(text.strip())

    def _kinds(self, name: str, key: str) -> set[str]:
        """Empty where nobody says."""
        return _kinds(self._properties.get(name, {}).get(key), MAX_DEPTH)


def _properties(parameters: str) -> Mapping[str, Any]:
    try:
        schema = json.loads(parameters)
    except (ValueError, RecursionError):
        return {}
    properties = schema.get("properties") if isinstance(schema, dict) else None
    return properties if isinstance(properties, dict) else {}


def _kinds(schema: Any, depth: int) -> set[str]:
    if not isinstance(schema, dict) or not depth:
        return set()
    if "enum" in schema and isinstance(schema["enum"], list):
        return {_kind(value) for value in schema["enum"]}
    if "const" in schema:
        return {_kind(schema["const"])}
    kinds = schema.get("type")
    if isinstance(kinds, list):
        return {"number" if kind == "integer" else str(kind) for kind in kinds}
    if isinstance(kinds, str):
        return {"number" if kinds == "integer" else kinds}
    choices = schema.get("anyOf") or schema.get("oneOf")
    if not isinstance(choices, list):
        return set()
    found = [_kinds(choice, depth - 1) for choice in choices]
    return set().union(*found) if all(found) else set()


def _kind(value: Any) -> str:
    kind = KINDS.get(type(value), "null")
    return "number" if kind == "integer" else kind
