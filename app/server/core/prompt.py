"""A raw prompt: a text, or token ids."""

from typing import Any

from app.server.core.fields import MAX_INT, text

TOKENS_SCHEMA = {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": MAX_INT}, "minItems": 1}
PROMPT_SCHEMA: dict[str, Any] = {"anyOf": [{"type": "string"}, TOKENS_SCHEMA]}


def as_prompt(value: Any) -> str | tuple[int, ...]:
    if isinstance(value, str):
        return text(value)
    if isinstance(value, list) and is_tokens(value):
        return tuple(value)
    raise ValueError("a string or a list of token ids is expected")


def is_tokens(value: list[Any]) -> bool:
    return bool(value) and all(type(token) is int and 0 <= token <= MAX_INT for token in value)
