"""A raw prompt: a text, or token ids."""

from typing import Any

from app.server.core.fields import MAX_INT, text, whole

TOKEN_SCHEMA: dict[str, Any] = {"type": "integer", "minimum": 0, "maximum": MAX_INT}
TOKENS_SCHEMA: dict[str, Any] = {"type": "array", "items": TOKEN_SCHEMA, "minItems": 1}
PROMPT_SCHEMA: dict[str, Any] = {"anyOf": [{"type": "string"}, TOKENS_SCHEMA]}


def as_prompt(value: Any) -> str | tuple[int, ...]:
    if isinstance(value, str):
        return text(value)
    if isinstance(value, list) and (tokens := as_tokens(value)):
        return tokens
    raise ValueError("a string or a list of token ids is expected")


def as_tokens(value: list[Any]) -> tuple[int, ...] | None:
    """Ids, also those that are written 16.0; None where one of them is none, or where there are none. Of a million, a
    call of our own for each would hold up all other requests."""
    kinds = set(map(type, value))
    if not kinds or not kinds <= {int, float} or not (min(value) >= 0 and max(value) <= MAX_INT):
        return None
    if float not in kinds:
        return tuple(value)
    try:
        tokens = list(map(int, value))
    except ValueError:  # of NaN
        return None
    return tuple(tokens) if tokens == value else None


def is_token(value: Any) -> bool:
    """Also one that is written 16.0, as JavaScript and others do."""
    value = whole(value)
    return type(value) is int and 0 <= value <= MAX_INT
