"""What a request said, within a sentence about it."""

from typing import Any

from backends.bounds import as_name

MAX_VALUE = 40  # characters


def shown(value: Any) -> str:
    """What came, shortened: a value of its own, of lists and objects only what they are."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case str():
            return f"“{as_name(value, MAX_VALUE)}”"
        case list() | tuple():
            return f"a list of {len(value)}"
        case dict():
            return "an object"
    return as_name(repr(value), MAX_VALUE)
