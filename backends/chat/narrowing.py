"""Narrows a JSON schema to what an answer is held to: whatever matches the narrower one matches the given one, too.

Objects that list properties and say nothing of others have no others, as llama.cpp's converter has it: a model that may
add entries may add them for ever.
"""

from collections.abc import Iterator
from typing import Any

# none or one blank, or a line break and its indentation: a model that may write blanks may write them for ever
BLANK = r"[ ]|\n[ \t]{0,40}"
# what makes one object of several: none of them may then be closed by itself
JOINING = ("allOf", "anyOf", "oneOf", "$ref", "if", "then", "else", "not", "dependentSchemas", "$dynamicRef")
OTHERS = ("additionalProperties", "patternProperties", "unevaluatedProperties", "propertyNames", "minProperties")
# keywords with values that are no schemas
DATA = frozenset({"enum", "const", "default", "examples", "required", "x-guidance"})
MAPS = ("properties", "$defs", "definitions", "patternProperties", "dependentSchemas")
CHOICES = ("anyOf", "oneOf")


def narrowed(schema: Any) -> Any:
    """The schema with its objects closed."""
    return _Narrowing(schema).of(schema, is_joined=False)


class _Narrowing:
    def __init__(self, schema: Any):
        self._joined = frozenset(_joined_targets(schema, is_joined=False))

    def of(self, schema: Any, is_joined: bool, place: str = "#") -> Any:
        """is_joined: what it says is taken together with what another says of the same value."""
        if not isinstance(schema, dict):
            return schema
        is_joined = is_joined or place in self._joined
        kept = {key: self._inside(key, value, _joins(schema, key, is_joined), place) for key, value in schema.items()}
        if not is_joined and _is_closable(schema):
            kept["additionalProperties"] = False
        return kept

    def _inside(self, key: str, value: Any, is_joined: bool, place: str) -> Any:
        place = f"{place}/{key}"
        if key in DATA:
            return value
        if key in MAPS and isinstance(value, dict):
            return {name: self.of(each, is_joined, f"{place}/{_escaped(name)}") for name, each in value.items()}
        if isinstance(value, list):
            return [self.of(each, is_joined, f"{place}/{at}") for at, each in enumerate(value)]
        return self.of(value, is_joined, place)


def _joined_targets(schema: Any, is_joined: bool) -> Iterator[str]:
    """What references lead to whose target is one of several that speak of a value."""
    if isinstance(schema, list):
        for each in schema:
            yield from _joined_targets(each, is_joined)
    if not isinstance(schema, dict):
        return
    target = schema.get("$ref")
    if isinstance(target, str) and (is_joined or _says_more(schema, "$ref")):
        yield target
    for key, value in schema.items():
        if key in DATA:
            continue
        inner = _joins(schema, key, is_joined)
        if key in MAPS and isinstance(value, dict):
            value = list(value.values())
        yield from _joined_targets(value, inner)


def _joins(schema: dict[str, Any], key: str, is_joined: bool) -> bool:
    """Whether what stands under this key is one of several that speak of the same value."""
    if key in CHOICES:
        return is_joined or _says_more(schema, key)
    return key in JOINING


def _says_more(schema: dict[str, Any], key: str) -> bool:
    says = ("properties", "required", "type", *OTHERS, *JOINING)
    return any(other in schema for other in says if other != key)


def _is_closable(schema: dict[str, Any]) -> bool:
    properties, required = schema.get("properties"), schema.get("required", [])
    if not isinstance(properties, dict) or not properties or not isinstance(required, list):
        return False
    if any(key in schema for key in (*OTHERS, *JOINING)):
        return False
    return all(isinstance(name, str) and name in properties for name in required)


def _escaped(name: str) -> str:
    """As a JSON pointer has it."""
    return name.replace("~", "~0").replace("/", "~1")
