"""A model's chat template inside a sandbox's child. It is foreign code: jinja2's sandbox keeps it from the machine, and
the child's bounds keep it from taking time and memory."""

from collections.abc import Iterable, Mapping
from typing import Any

from backends.llama.chat_jobs import Template
from backends.llama.jinja import TEMPLATE_FAULTS, Clock, Environment, Own, reason
from backends.llama.said import concat
from backends.llama.tracking import TrackingEnvironment
from backends.sandbox.job import Refused

MAX_TEMPLATE = 256 * 1024  # characters; the longest known one has 20,000
# characters that a template may write: those of the chat several times, and texts of its own
MAX_RENDERED, MAX_COPIES = 1024 * 1024, 4


class CompiledTemplate:
    """Compiled by the first job, within its bounds: constants are computed by then already."""

    def __init__(self, template: Template):
        self.clock = Clock()
        self._template = template
        self._compiled: dict[bool, Any] = {}

    def write(
        self, messages: list[dict[str, Any]], is_answered: bool = True, has_lists: bool = False, tracked: bool = False
    ) -> str:
        """The text, with the head of an answer if one is wanted. Raises Refused for a template that cannot be read or
        fails, with what it says itself.

        has_lists: empty ones for templates that fail without. tracked: the text is a Said.
        """
        room = MAX_RENDERED + MAX_COPIES * sum(map(_length, messages))
        try:
            parts = self._compile(tracked).generate(
                {"messages": messages, "add_generation_prompt": is_answered, "tools": None, "documents": None}
                | (_lists(self.clock) if has_lists else {}),
                **self._template.tokens,
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


def _lists(clock: Clock) -> dict[str, Any]:
    """What templates for tools take for granted; the last two are those of functionary and firefunction."""
    return {"tools": [], "documents": [], "functions": "[]", "datetime": clock.now("%b %d %Y %H:%M:%S")}


def _length(message: Mapping[str, Any]) -> int:
    content = message["content"]
    return len(content) if isinstance(content, str) else sum(len(part.get("text", "")) for part in content)


def _bounded(parts: Iterable[str], room: int) -> Iterable[str]:
    for part in parts:
        room -= len(part)
        if room < 0:
            raise Own("its output has no end")
        yield part
