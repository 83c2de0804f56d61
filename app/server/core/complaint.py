"""What is wrong with a field of a request, in our own words: pydantic finds the fault; what it says is not shown."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from app.server.core.limits import MAX_QUOTED
from app.server.core.refusal import REFUSED, Refusal
from app.server.core.shown import shown
from backends.bounds import as_name

EXPECTED = "expected"

# what each kind of pydantic's errors is about; in braces what it tells beside
WANTED = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "dict_type": "an object",
    "enum": "one of {expected}",
    "finite_number": "a finite number",
    "float_parsing": "a number",
    "float_type": "a number",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number from {ge} up",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "int_type": "a whole number",
    "less_than": "a number below {lt}",
    "less_than_equal": "a number of at most {le}",
    "list_type": "a list",
    "literal_error": "one of {expected}",
    "model_attributes_type": "an object",
    "model_type": "an object",
    "string_type": "a string",
    "string_unicode": "a string of whole characters",
}
BODIES = {"dict_type": "object", "model_attributes_type": "object", "list_type": "list"}  # where all of it is wrong
TOO_LONG, TOO_SHORT = ("too_long", "string_too_long"), ("too_short", "string_too_short")
MISSING = "this field is needed"
QUOTED = re.compile("'([^']*)'")  # a value as Python writes it


def from_validation(errors: Sequence[Any], body: Any = None) -> Refusal:
    """Of several complaints the first: a person mends them one by one. body: what came, as far as it was JSON."""
    first = errors[0]
    kind, location = first["type"], tuple(first["loc"])
    if kind == "json_invalid":
        reason = first.get("ctx", {}).get("error", "").removesuffix(" at")  # some of Python's end with it
        return Refusal(400, f"The body is not valid JSON: {reason} at character {location[-1]}.")
    if location == ("body",) and kind == "missing":
        return Refusal(400, "The body is empty; a JSON object is expected.")
    if location == ("body",) and kind in BODIES:
        return Refusal(400, f"The body is no JSON {BODIES[kind]}.")
    place = _place(location, body)
    named = first.get("ctx", {}).get("param", "")
    param = ".".join(filter(None, (place, named)))
    same = [error for error in errors if _place(tuple(error["loc"]), body) == place]
    reason = _reason(first, same)
    return Refusal(400, f"{param}: {reason}." if param else f"{reason}.", param=param or None)


def _reason(first: Mapping[str, Any], same: Sequence[Mapping[str, Any]]) -> str:
    """same: all complaints about this place. A value that could be of several kinds has one for each."""
    kind: str = first["type"]
    given: Any = first.get("input")
    if kind == "missing":
        return MISSING
    if kind in TOO_LONG:
        return f"at most {_counted(first['ctx']['max_length'], given)} are allowed, and {len(given):,} came"
    if kind in TOO_SHORT:
        return f"at least {_counted(first['ctx']['min_length'], given)} is needed, and {len(given):,} came"
    if kind in (REFUSED, "value_error"):
        reason = str(first["ctx"].get("reason", first["ctx"].get("error", ""))).rstrip(".")
        is_short = not isinstance(given, list | dict)
        return f"{reason}, not {shown(given)}" if reason.endswith(EXPECTED) and is_short else reason
    wanted = " or ".join(dict.fromkeys(map(_wanted, same)))
    return f"{wanted} is {EXPECTED}, not {shown(given)}"


def _counted(number: int, given: Any) -> str:
    """Characters of a text, and entries of anything else."""
    noun = f" character{'s' * (number != 1)}" if isinstance(given, str) else ""
    return f"{number:,}{noun}"


def _wanted(error: Mapping[str, Any]) -> str:
    known = {name: _told(value) for name, value in error.get("ctx", {}).items()}
    return WANTED.get(error["type"], "another value").format_map(known)


def _told(value: Any) -> str:
    """A bound, or a list of values, which pydantic joins by itself."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return as_name(QUOTED.sub(r"“\1”", str(value)), 2 * MAX_QUOTED)


def _place(location: Sequence[str | int], body: Any) -> str:
    """The way through what came, as far as it leads: behind it pydantic tells which of several types it tried."""
    source, *parts = location
    if source != "body":
        return "".join(map(str, parts[:1]))
    place, here = "", body
    for part in parts:
        if isinstance(here, dict) and isinstance(part, str):
            place, here = f"{place}.{part}", here.get(part)
        elif isinstance(here, list) and isinstance(part, int):
            place, here = f"{place}[{part}]", here[part] if part < len(here) else None
        else:
            break
    return place.lstrip(".")
