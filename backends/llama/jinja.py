"""Renders a chat with a model's own template, inside a sandbox's child. A template is foreign code: jinja2's sandbox
keeps it from the machine, and the child's bounds keep it from taking time and memory."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn

from jinja2 import TemplateError
from jinja2.exceptions import TemplateRuntimeError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from backends.protocol import Message
from backends.sandbox.job import Refused

MAX_TEMPLATE = 256 * 1024  # characters; the longest known one has 20,000
# characters that a template may write: those of the chat several times, and texts of its own
MAX_RENDERED, MAX_COPIES = 1024 * 1024, 4
TEMPLATE_FAULTS = (TemplateError, ArithmeticError, AttributeError, LookupError, SyntaxError, TypeError, ValueError)
MAX_FACTOR, MAX_EXPONENT = 100_000, 64
TEMPLATE = "template"  # its name among the tools

# for models that come without one: the format that most fine-tunes understand
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@dataclass(frozen=True, slots=True)
class Template:
    """A template's source as a sandbox gets it, and the model's tokens that it may name."""

    source: str
    bos: str
    eos: str

    def unpack(self) -> "CompiledTemplate":
        return CompiledTemplate(self)


@dataclass(frozen=True, slots=True)
class Render:
    """The job; its result is a string."""

    messages: tuple[Message, ...]

    def run(self, tools: Mapping[str, Any]) -> str:
        template: CompiledTemplate = tools[TEMPLATE]
        return template.render(self.messages)


class CompiledTemplate:
    """Compiled by the first job, within its bounds: constants are computed by then already."""

    def __init__(self, template: Template):
        self._template = template
        self._compiled: Any = None

    def render(self, messages: tuple[Message, ...]) -> str:
        """Raises Refused for a template that cannot be read or fails, with what it says itself."""
        room = MAX_RENDERED + MAX_COPIES * sum(len(message.content) for message in messages)
        try:
            if self._compiled is None:
                self._compiled = _environment().from_string(self._checked_source())
            parts = self._compiled.generate(
                messages=[{"role": m.role, "content": m.content} for m in messages],
                add_generation_prompt=True,
                tools=None,
                documents=None,
                bos_token=self._template.bos,
                eos_token=self._template.eos,
            )
            return _join(parts, room)
        except TEMPLATE_FAULTS as error:
            raise Refused(str(error).strip() or type(error).__name__) from error

    def _checked_source(self) -> str:
        source = self._template.source
        if len(source) > MAX_TEMPLATE:
            raise TemplateRuntimeError(f"it has {len(source):,} characters")
        return source


def _join(parts: Any, room: int) -> str:
    rendered = []
    for part in parts:
        room -= len(part)
        if room < 0:
            raise TemplateRuntimeError("its output has no end")
        rendered.append(part)
    return "".join(rendered)


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox bounds range(), but not `'x' * 10**10` or `9 ** 9 ** 9`."""

    intercepted_binops = frozenset({"*", "**"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        is_large = any(isinstance(side, int) and abs(side) > MAX_FACTOR for side in (left, right))
        if is_large or (operator == "**" and isinstance(right, int) and right > MAX_EXPONENT):
            raise TemplateRuntimeError("it computes with enormous numbers")
        return super().call_binop(context, operator, left, right)


def _environment() -> ImmutableSandboxedEnvironment:
    """As transformers sets it up (utils/chat_template_utils.py), so that templates mean the same here."""
    environment = _Sandbox(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    environment.globals["raise_exception"] = _raise
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment


def _raise(message: str) -> NoReturn:
    raise TemplateRuntimeError(message)
