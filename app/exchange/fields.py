"""Values of a document that anybody may have written: each is of the kind that is wanted, or is not there."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from app.history_rows import MAX_TITLE, moment

MAX_TEXT = 8 << 20  # characters of one message
MILLISECONDS = 1e11  # a moment that is later than this, in the year 5138, is not in seconds


def mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def text(value: Any) -> str:
    return value if isinstance(value, str) and len(value) <= MAX_TEXT else ""


def name(value: Any) -> str | None:
    """One line of a title's length at most; None for none."""
    return " ".join(text(value)[: 2 * MAX_TITLE].split())[:MAX_TITLE] or None


def number(value: Any) -> float | None:
    """A finite one that is not negative."""
    is_number = type(value) in (int, float) and 0 <= value < 1e15  # as no NaN is
    return float(value) if is_number and math.isfinite(value) else None


def count(value: Any) -> int:
    found = number(value)
    return int(found) if found is not None else 0


def when(value: Any) -> float:
    """Seconds since the epoch, of a moment in seconds, milliseconds or smaller parts; 0: it is not known."""
    found = number(value) or 0.0
    while found > MILLISECONDS:
        found /= 1000
    return moment(found)


def texts(parts: Any) -> Iterator[str]:
    """Of a list of texts and other parts, the texts, and a word for each of the others."""
    for part in items(parts):
        if isinstance(part, str):
            yield text(part)
        elif isinstance(part, dict):
            said = text(part.get("text"))
            kind = text(part.get("content_type") or part.get("type"))
            yield said or (f"[{kind.split('_')[0]}]" if kind else "")
