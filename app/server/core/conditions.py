"""What holds between fields of a request, as a JSON schema says it: for /openapi.json. Validators hold it."""

from collections.abc import Mapping, Sequence
from typing import Any

Schema = dict[str, Any]
NULL: Schema = {"type": "null"}


def exactly_one(names: Sequence[str], said: Schema) -> Schema:
    """said: what it is. Null is absent."""
    return {
        "anyOf": [
            {"required": [name], "properties": {other: said if other == name else NULL for other in names}}
            for name in names
        ]
    }


def at_least_one(fields: Mapping[str, Schema]) -> Schema:
    return {"anyOf": [{"required": [name], "properties": {name: said}} for name, said in fields.items()]}


def needs(name: str, other: str, value: Any) -> Schema:
    """The first field may be there only where the other has this value."""
    return {
        "anyOf": [
            {"properties": {name: NULL}},
            {"required": [other], "properties": {other: {"const": value}}},
        ]
    }
