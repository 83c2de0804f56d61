"""A model's chat template inside a sandbox's child. It is foreign code: jinja2's sandbox keeps it from the machine, and
the child's bounds keep it from taking time and memory."""

import json
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from backends.llama.chat_jobs import Template
from backends.llama.jinja import TEMPLATE_FAULTS, Clock, Environment, Own, reason
from backends.llama.said import all_said, concat
from backends.llama.tracking import TrackingEnvironment
from backends.sandbox.job import Refused

MAX_TEMPLATE = 256 * 1024  # characters; the longest known one has 20,000
# characters that a template may write: those of the chat several times, and texts of its own
MAX_RENDERED, MAX_COPIES = 1024 * 1024, 4
NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})


class CompiledTemplate:
    """Compiled by the first job, within its bounds: constants are computed by then already."""

    def __init__(self, template: Template):
        self.clock = Clock()
        self._template = template
        self._compiled: dict[bool, Any] = {}

    def write(
        self,
        messages: list[dict[str, Any]],
        is_answered: bool = True,
        has_lists: bool = False,
        tracked: bool = False,
        tools: list[dict[str, Any]] | None = None,
        options: Mapping[str, Any] = NO_OPTIONS,
    ) -> str:
        """The text, with the head of an answer if one is wanted. Raises Refused for a template that cannot be read or
        fails, with what it says itself.

        has_lists: empty ones for templates that fail without. tracked: the text is a Said. options: values that it may
        ask for by these names, but for those that are ours.
        """
        room = MAX_RENDERED + MAX_COPIES * (_length(messages) + _length(tools))
        own = {"messages": messages, "add_generation_prompt": is_answered, "tools": tools, "documents": None}
        try:
            parts = self._compile(tracked).generate(
                {**options, **own, **(_lists(self.clock, tools) if has_lists else {}), **self._template.tokens}
            )
            return concat(_bounded(parts, room)) if tracked else "".join(_bounded(parts, room))
        except TEMPLATE_FAULTS as error:
            raise Refused(reason(error)) from error

    def _compile(self, tracked: bool) -> Any:
        if tracked not in self._compiled:
            environment = TrackingEnvironment(self.clock) if tracked else Environment(self.clock)
            self._compiled[tracked] = environment.from_string(self._checked_source())
        return self._compiled[tracked]

    def _checked_source(self) -> str:
        source = self._template.source
        if len(source) > MAX_TEMPLATE:
            raise Own(f"it has {len(source):,} characters")
        return source


def _lists(clock: Clock, tools: list[dict[str, Any]] | None) -> dict[str, Any]:
    """What templates for tools take for granted; the last two are those of functionary and firefunction."""
    functions = json.dumps([tool["function"] for tool in tools or ()], ensure_ascii=False)
    functions = all_said(functions) if tools else functions
    return {"tools": tools or [], "documents": [], "functions": functions, "datetime": clock.now("%b %d %Y %H:%M:%S")}


def _length(value: Any) -> int:
    """Of all texts in it."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(map(_length, value)) + sum(map(_length, value.values()))
    return sum(map(_length, value)) if isinstance(value, list) else 0


def _bounded(parts: Iterable[str], room: int) -> Iterable[str]:
    for part in parts:
        room -= len(part)
        if room < 0:
            raise Own("its output has no end")
        yield part
