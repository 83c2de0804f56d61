"""What the dialects share of tools and thoughts: bounds, and what a chat's template is told about thinking."""

import json
from collections.abc import Iterable
from typing import Any, Literal

from app.server.core.fields import not_supported, text
from app.server.core.grammar import is_deeper
from app.server.core.limits import MAX_QUOTED
from backends.bounds import as_name
from backends.protocol import Calling, Grammar, GrammarKind, Tool, ToolChoice

MAX_TOOLS = 128
MAX_CALLS = 128  # of one turn
MAX_SCHEMA = 2**16  # characters
MAX_DEPTH = 64
MAX_OPTIONS = 64
NO_CALL = (str(Calling.NONE), str(Calling.AUTO))  # choices that need no tools
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
NEAREST = {"minimal": "low", "xhigh": "high", "max": "high"}  # of the three that templates know
GRAMMAR_AND_TOOLS = "beside tools an answer is held by a JSON schema, not by another grammar: leave one of the two out"

Options = tuple[tuple[str, Any], ...]


def as_object(value: Any) -> dict[str, Any]:
    """JSON that is put into a prompt."""
    if not isinstance(value, dict):
        raise ValueError("an object is expected")
    if is_deeper(value, MAX_DEPTH):
        raise ValueError(f"an object nested at most {MAX_DEPTH} deep is expected")
    if len(text(json.dumps(value, ensure_ascii=False))) > MAX_SCHEMA:
        raise ValueError(f"an object of at most {MAX_SCHEMA} characters is expected")
    return value


def tool(name: str, description: str | None, parameters: dict[str, Any] | None, is_strict: bool | None) -> Tool:
    schema = json.dumps(parameters or {"type": "object", "properties": {}}, ensure_ascii=False)
    return Tool(name, description or "", schema, bool(is_strict))


def check_held(grammar: Grammar | None, may_call: bool, field: str) -> None:
    """Raises what a validator raises for calls in an answer that another grammar than a schema holds. field: that
    offers the tools."""
    if may_call and grammar and grammar.kind is not GrammarKind.JSON_SCHEMA:
        raise not_supported(GRAMMAR_AND_TOOLS, field)


def check_choice(choice: ToolChoice, tools: Iterable[Tool], field: str = "tool_choice") -> None:
    """Raises what a validator raises when what must be called is not offered. field: that says so."""
    names = [tool.name for tool in tools]
    if choice.is_required and not names:
        raise not_supported("it wants a call, and no tools are offered: send some, or leave it out", field)
    if choice.name is not None and choice.name not in names:
        shown = as_name(choice.name, MAX_QUOTED)
        raise not_supported(f"it names “{shown}”, and no such tool is offered", field)


def chosen(name: str | None, is_parallel: bool) -> ToolChoice:
    """One that must be called, or any of them."""
    return ToolChoice(Calling.REQUIRED, name, is_parallel)


def thinking(wish: bool | str | None) -> dict[str, Any]:
    """Under all names that templates ask for. wish: yes or no, or an Effort; None: as the template likes."""
    if wish is None:
        return {}
    thinks = wish not in (False, "none")
    effort = effort_option(wish) if thinks and isinstance(wish, str) else {}
    return {"enable_thinking": thinks, "thinking": thinks, **effort}


def effort_option(effort: str) -> dict[str, str]:
    """How hard it thinks, where it does."""
    return {"reasoning_effort": NEAREST.get(effort, effort)}
