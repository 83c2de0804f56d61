"""How long a model stays loaded after a request: a number of seconds, or Go's notation, as “5m” or “1h30m”."""

import math
import re
from typing import Annotated, Any

from pydantic import Field, PlainValidator, WithJsonSchema

UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
PART = re.compile(r"(\d+(?:\.\d+)?|\.\d+)(ns|us|µs|ms|s|m|h)")
MAX_LENGTH = 40
EXPECTED = "a number of seconds or a duration such as “5m” is expected; below 0: for ever"
SCHEMA = {"anyOf": [{"type": "number"}, {"type": "string", "enum": ["0", "-1", "5m", "1h30m"]}]}


def seconds(value: Any) -> float:
    """Infinite for a negative one. Raises ValueError."""
    if isinstance(value, str):
        value = _parsed(value)
    if type(value) not in (int, float) or math.isnan(value):
        raise ValueError(EXPECTED)
    return math.inf if value < 0 else float(min(value, 1e9))


def _parsed(text: str) -> float:
    if len(text) > MAX_LENGTH:
        raise ValueError(EXPECTED)
    bare, is_negative = text.lstrip("+-"), text.startswith("-")
    if bare.isdecimal() and bare.isascii():
        total = float(bare)
    elif bare and not PART.sub("", bare):
        total = sum(float(number) * UNITS[unit] for number, unit in PART.findall(bare))
    else:
        raise ValueError(EXPECTED)
    return -1.0 if is_negative and total else total


KeepAlive = Annotated[
    Annotated[Any, PlainValidator(seconds), WithJsonSchema(SCHEMA)] | None,
    Field(description="how long it stays loaded after this request"),
]
