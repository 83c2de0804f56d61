"""A raw prompt: a text, or token ids."""

from typing import Any

from app.server.core.fields import MAX_INT, text, whole

TOKEN_SCHEMA: dict[str, Any] = {"type": "integer", "minimum": 0, "maximum": MAX_INT}
TOKENS_SCHEMA: dict[str, Any] = {"type": "array", "items": TOKEN_SCHEMA, "minItems": 1}
PROMPT_SCHEMA: dict[str, Any] = {"anyOf": [{"type": "string"}, TOKENS_SCHEMA]}


def as_prompt(value: Any) -> str | tuple[int, ...]:
    if isinstance(value, str):
        return text(value)
    if isinstance(value, list) and is_tokens(value):
        return tuple(value) if _are_plain(value) else tuple(map(whole, value))
    raise ValueError("a string or a list of token ids is expected")


def is_tokens(value: list[Any]) -> bool:
    if _are_plain(value):
        return bool(min(value) >= 0 and max(value) <= MAX_INT)
    return bool(value) and all(map(is_token, value))


def _are_plain(value: list[Any]) -> bool:
    """Numbers as most programs write them: of millions, a call for each would hold up all other requests."""
    return set(map(type, value)) == {int}


def is_token(value: Any) -> bool:
    """Also one that is written 16.0, as JavaScript and others do."""
    value = whole(value)
    return type(value) is int and 0 <= value <= MAX_INT
