"""Jinja as chat templates know it: what transformers sets up (utils/chat_template_utils.py), so that templates mean the
same here, and bounds that jinja2's own sandbox lacks."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any, NoReturn

from jinja2 import TemplateError, TemplateSyntaxError, nodes
from jinja2.exceptions import SecurityError, TemplateRuntimeError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

# what a template that is no good, or is given what it does not expect, may raise
TEMPLATE_FAULTS = (TemplateError, ArithmeticError, AttributeError, LookupError, SyntaxError, TypeError, ValueError)
PYTHONS = (  # words for what Python says in its own
    (ArithmeticError, "it computes what has no result"),
    (UnicodeError, "it writes characters that are none"),
    (LookupError, "it asks for an entry that is not there"),
    (AttributeError, "it asks for a property that is not there"),
    (TypeError, "it does something with a value of the wrong kind"),
    (ValueError, "it does something with a value that does not fit"),
)
MAX_FACTOR, MAX_EXPONENT = 100_000, 64


class Own(TemplateRuntimeError):
    """What is said in a template's own words, or in ours: a reason as it stands."""


def reason(error: BaseException) -> str:
    """Why a template failed, in words that follow a colon."""
    if isinstance(error, Own):
        return str(error).strip() or "it gives no reason"
    if isinstance(error, TemplateSyntaxError):
        return f"it cannot be read: {error.message} (line {error.lineno})"
    if isinstance(error, SyntaxError):  # of what jinja makes of it
        return f"it cannot be read: {error.msg}"
    if isinstance(error, TemplateError):  # those of jinja are for those who write templates
        return f"it makes an error: {error}"
    return next((words for kind, words in PYTHONS if isinstance(error, kind)), "it makes an error")


class GenerationBlock(Extension):
    """`{% generation %}` … `{% endgeneration %}` marks answers for training; here they are written as they are."""

    tags = {"generation"}  # noqa: RUF012  # jinja2's own way to declare them

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        # a call block as in transformers: what is set inside stays inside
        return nodes.CallBlock(self.call_method("_written"), [], [], body).set_lineno(line)

    def _written(self, caller: Callable[[], str]) -> str:
        return caller()


class Environment(ImmutableSandboxedEnvironment):
    """Jinja's sandbox bounds range(), but not `'x' * 10**10` or `9 ** 9 ** 9`."""

    intercepted_binops = frozenset({"*", "**"})

    def __init__(self, clock: "Clock", finalize: Callable[[Any], str] | None = None):
        super().__init__(
            trim_blocks=True, lstrip_blocks=True, extensions=[GenerationBlock, loopcontrols], finalize=finalize
        )
        self.filters["tojson"] = _json
        self.globals["raise_exception"] = _raise
        self.globals["strftime_now"] = clock.now
        self.globals["dict"] = _Dict()
        self.globals["namespace"] = _Namespace

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        is_large = any(isinstance(side, int) and abs(side) > MAX_FACTOR for side in (left, right))
        if is_large or (operator == "**" and isinstance(right, int) and right > MAX_EXPONENT):
            raise Own("it computes with enormous numbers")
        return super().call_binop(context, operator, left, right)


class _Dict:
    """The global `dict`, without the attributes of a class."""

    def __call__(self, *args: Any, **named: Any) -> dict[Any, Any]:
        return dict(*args, **named)

    def fromkeys(self, *args: Any) -> dict[Any, Any]:
        return dict.fromkeys(*args)


class _Namespace(Namespace):
    def __init__(*args: Any, **named: Any) -> None:  # `namespace(self=1)` is allowed
        self, *given = args
        values = dict(*given, **named)
        for name in values:
            _check_name(name)
        Namespace.__init__(self, values)

    def __setitem__(self, name: str, value: Any) -> None:
        _check_name(name)
        super().__setitem__(name, value)


def _check_name(name: Any) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"a namespace may not hold {name!r}: names with an underscore first are private")


def _json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Jinja's own escapes HTML, which no model has learned from."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


class Clock:
    """Stands still while a chat is written: a template that asks twice, or is asked twice, writes the same."""

    def __init__(self) -> None:
        self.set()

    def set(self) -> None:
        self._moment = datetime.now()

    def now(self, form: str) -> str:
        return self._moment.strftime(form)


def _raise(message: object = "") -> NoReturn:
    raise Own(str(message))
