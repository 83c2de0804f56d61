"""Random JSON schemas, the same for the same seed, and whether a text matches one."""

import json
import random
import re
from typing import Any

NAMES = ("name", "title", "city", "price", "count", "kind", "tags", "items", "author", "email", "active", "notes")
WORDS = ("red", "green", "blue", "small", "large", "open", "closed", "draft", "final")
FORMATS = {
    "date": r"\d{4}-\d{2}-\d{2}",
    "date-time": r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}.*",
    "email": r"[^@\s]+@[^@\s]+",
    "uuid": r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
    "ipv4": r"\d+\.\d+\.\d+\.\d+",
}
PATTERNS = (r"^[A-Z]{2}-[0-9]{3,}$", r"^#[0-9a-f]{6}$", r"^[a-z]+(-[a-z]+)*$")
KINDS: dict[str, Any] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "object": dict,
    "array": list,
    "null": type(None),
}
MAX_DEPTH = 3


def random_schema(seed: int) -> dict[str, Any]:
    """An object with nested objects, arrays, enums, numbers, formats, anyOf and references."""
    rng = random.Random(seed)
    defs = {"Part": _object(rng, 1), "Point": {"type": "object", "properties": {"x": {"type": "number"}}}}
    return {**_object(rng, MAX_DEPTH), "$defs": defs}


def matches(text: str, schema: dict[str, Any]) -> bool:
    try:
        return _matches(json.loads(text), schema, schema)
    except ValueError:
        return False


def _object(rng: random.Random, depth: int) -> dict[str, Any]:
    names = rng.sample(NAMES, rng.randint(2, 5))
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {name: _value(rng, depth - 1) for name in names},
        "required": [name for name in names if rng.random() < 0.7],
    }
    if rng.random() < 0.5:
        schema["additionalProperties"] = False
    return schema


def _value(rng: random.Random, depth: int) -> dict[str, Any]:
    kinds = ["string", "bounded", "format", "pattern", "integer", "range", "number", "boolean", "enum"]
    kinds += ["object", "object", "array", "array", "any", "ref"] if depth > 0 else []
    match rng.choice(kinds):
        case "bounded":
            return {"type": "string", "minLength": rng.randint(0, 5), "maxLength": rng.randint(20, 60)}
        case "format":
            return {"type": "string", "format": rng.choice(list(FORMATS))}
        case "pattern":
            return {"type": "string", "pattern": rng.choice(PATTERNS)}
        case "range":
            return {"type": "integer", "minimum": rng.randint(-5, 50), "maximum": rng.randint(100, 99999)}
        case "enum":
            return {"enum": rng.sample(WORDS, rng.randint(2, 4))}
        case "object":
            return _object(rng, depth)
        case "array":
            return {"type": "array", "items": _value(rng, depth - 1), "minItems": rng.randint(0, 3)}
        case "any":
            return {"anyOf": [_value(rng, depth - 1), {"type": "null"}]}
        case "ref":
            return {"$ref": f"#/$defs/{rng.choice(['Part', 'Point'])}"}
        case kind:
            return {"type": kind}


def _matches(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> bool:
    """The keywords that are made here, no others."""
    if "$ref" in schema:
        return _matches(value, root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    if "anyOf" in schema:
        return any(_matches(value, each, root) for each in schema["anyOf"])
    if "enum" in schema:
        return value in schema["enum"]
    kind = schema["type"]
    if not isinstance(value, KINDS[kind]) or (isinstance(value, bool) and kind != "boolean"):
        return False
    match value:
        case dict():
            return _is_object(value, schema, root)
        case list():
            items = schema["items"]
            return len(value) >= schema.get("minItems", 0) and all(_matches(each, items, root) for each in value)
        case str():
            return _is_text(value, schema)
        case int() | float():
            return bool(schema.get("minimum", value) <= value <= schema.get("maximum", value))
    return True


def _is_object(value: dict[str, Any], schema: dict[str, Any], root: dict[str, Any]) -> bool:
    properties = schema["properties"]
    if not all(name in value for name in schema.get("required", ())):
        return False
    if schema.get("additionalProperties") is False and not value.keys() <= properties.keys():
        return False
    return all(_matches(each, properties[name], root) for name, each in value.items() if name in properties)


def _is_text(value: str, schema: dict[str, Any]) -> bool:
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
        return False
    if "pattern" in schema and not re.search(schema["pattern"], value):
        return False
    return "format" not in schema or bool(re.fullmatch(FORMATS[schema["format"]], value))
