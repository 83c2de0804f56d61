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


def needs(name: str, others: Mapping[str, Schema], harmless: Schema | None = None) -> Schema:
    """Unless the field is absent or harmless, one of the others is what is said of it."""
    free = {"anyOf": [NULL, harmless]} if harmless else NULL
    return {"anyOf": [{"properties": {name: free}}, *at_least_one(others)["anyOf"]]}


def both(first: Schema, second: Schema) -> Schema:
    """Conditions on different fields, multiplied out: those who make requests of a schema do more with that."""
    return {"anyOf": [_joined(one, other) for one in first["anyOf"] for other in second["anyOf"]]}


def _joined(one: Schema, other: Schema) -> Schema:
    properties = one["properties"] | other["properties"]
    assert len(properties) == len(one["properties"]) + len(other["properties"])
    return {"required": [*one.get("required", ()), *other.get("required", ())], "properties": properties}
