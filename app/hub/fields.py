"""Single values out of JSON that anybody may have written: the value of the kind that is meant, or None."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

MAX_NUMBER = 1 << 62
MAX_TEXT = 200
MAX_TAGS = 200


def parse(content: bytes) -> Any:
    """Raises ValueError for what is not JSON, however deep."""
    try:
        return json.loads(content)
    except RecursionError:
        raise ValueError("too deep") from None


def mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def text(value: Any) -> str | None:
    """One line that can be shown."""
    if isinstance(value, str) and 0 < len(value) <= MAX_TEXT and value.isprintable() and value.strip():
        return value.strip()
    return None


def number(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value <= MAX_NUMBER else None


def positive(value: Any) -> int | None:
    return number(value) or None


def moment(value: Any) -> datetime | None:
    try:
        read = datetime.fromisoformat(value)
        return read.astimezone(UTC) if read.tzinfo else read.replace(tzinfo=UTC)
    except (ValueError, TypeError, OverflowError):
        return None


def tags(value: Any) -> tuple[str, ...]:
    return tuple(found for item in items(value)[:MAX_TAGS] if (found := text(item)))
