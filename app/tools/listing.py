"""The tools that a server says it has, as far as they can be offered. All of it was written by strangers."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from app.tools.servers import MAX_TOOL_NAME
from backends.bounds import as_name, as_text
from backends.chat.json_text import depth

MAX_TOOLS = 64  # of one server; each takes its share of every prompt
MAX_DESCRIPTION = 4 << 10  # characters
MAX_SCHEMA = 16 << 10  # characters
MAX_DEPTH = 32
MAX_TOLD = 5  # tools that are left out, by name
_NAME = re.compile(rf"[A-Za-z0-9_./-]{{1,{MAX_TOOL_NAME}}}")  # as the protocol has it


@dataclass(frozen=True, slots=True)
class Listed:
    """parameters: a JSON schema, as text."""

    name: str
    description: str
    parameters: str


@dataclass(frozen=True, slots=True)
class Listing:
    """left_out: a sentence for each tool that cannot be offered, and why."""

    tools: tuple[Listed, ...] = ()
    left_out: tuple[str, ...] = ()


def listing_from(tools: Iterable[tuple[Any, Any, Any]]) -> Listing:
    """tools: name, description and schema of each, as the server says them."""
    kept: dict[str, Listed] = {}
    left_out = []
    num_more = 0
    for name, description, schema in tools:
        if len(kept) >= MAX_TOOLS:
            num_more += 1
            continue
        if reason := _reason(name, schema, kept):
            left_out.append(f"“{as_name(str(name), 40)}” is left out: {reason}.")
            continue
        text = as_text(description if isinstance(description, str) else "", MAX_DESCRIPTION)
        kept[name] = Listed(name, text, json.dumps(schema, ensure_ascii=False))
    if len(left_out) > MAX_TOLD:
        left_out[MAX_TOLD:] = [f"{len(left_out) - MAX_TOLD} more are left out."]
    if num_more:
        left_out.append(f"{num_more} tools beyond the first {MAX_TOOLS} are left out.")
    return Listing(tuple(kept.values()), tuple(left_out))


def _reason(name: Any, schema: Any, kept: Mapping[str, Listed]) -> str | None:
    """Why it cannot be offered, the end of a sentence."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return "its name is none that a tool may have"
    if name in kept:
        return "there are two of that name"
    if not isinstance(schema, dict) or schema.get("type", "object") != "object":
        return "its arguments are no object"
    try:
        text = json.dumps(schema, ensure_ascii=False)
        text.encode()
    except (ValueError, TypeError, RecursionError):
        return "its schema cannot be written as JSON"
    if len(text) > MAX_SCHEMA:
        return f"its schema has more than {MAX_SCHEMA:,} characters"
    if depth(text) > MAX_DEPTH:
        return f"its schema is nested more than {MAX_DEPTH} deep"
    return None
