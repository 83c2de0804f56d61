"""Renders a chat with the model's own template. A template is foreign code: it runs in jinja2's sandbox."""

from datetime import datetime
from typing import Any, NoReturn

from jinja2 import TemplateError
from jinja2.exceptions import TemplateRuntimeError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from backends.engine.runner import PromptError
from backends.protocol import FailureKind, Message

MAX_TEMPLATE = 256 * 1024  # characters; the longest known one has 20,000
MAX_RENDERED = 16 * 1024 * 1024
TEMPLATE_FAULTS = (
    TemplateError,
    ArithmeticError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)
MAX_FACTOR, MAX_EXPONENT = 100_000, 64

# for models that come without one: the format that most fine-tunes understand
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


class ChatTemplate:
    """Raises PromptError (BAD_TEMPLATE) at render time for a template that cannot be read or fails."""

    def __init__(self, source: str | None, bos: str, eos: str):
        self._source = source or CHATML
        self._tokens = {"bos_token": bos, "eos_token": eos}
        self._template: Any = None

    def render(self, messages: tuple[Message, ...]) -> str:
        try:
            if self._template is None:
                self._template = _environment().from_string(self._checked_source())
            parts = self._template.generate(
                messages=[{"role": m.role, "content": m.content} for m in messages],
                add_generation_prompt=True,
                tools=None,
                documents=None,
                **self._tokens,
            )
            return _join(parts)
        except (
            TemplateError,
            ArithmeticError,
            LookupError,
            MemoryError,
            TypeError,
            ValueError,
            RecursionError,
        ) as error:
            reason = str(error).strip() or type(error).__name__
            raise PromptError(
                FailureKind.BAD_TEMPLATE, f"The model's chat template refused this chat: {reason}"
            ) from error

    def _checked_source(self) -> str:
        if len(self._source) > MAX_TEMPLATE:
            raise TemplateRuntimeError(f"it has {len(self._source):,} characters")
        return self._source


def _join(parts: Any) -> str:
    rendered, size = [], 0
    for part in parts:
        size += len(part)
        if size > MAX_RENDERED:
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
