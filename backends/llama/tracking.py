"""Jinja as the templates know it, with text that remembers who wrote it."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from types import BuiltinMethodType, MethodType
from typing import Any

from jinja2 import nodes, pass_environment
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import FilterArgumentError
from jinja2.filters import make_attrgetter
from jinja2.nodes import EvalContext
from jinja2.runtime import Context
from jinja2.sandbox import SandboxedFormatter

from backends.llama.jinja import Clock, Environment, Own
from backends.llama.said import Said, all_said, as_said, as_text, concat, is_said

# filters that hand on what they are given, or say no text
PASSING = frozenset(
    {"abs", "attr", "batch", "count", "d", "default", "dictsort", "first", "float", "groupby", "int", "items", "last"}
    | {"length", "list", "map", "max", "min", "random", "reject", "rejectattr", "reverse", "round", "select"}
    | {"selectattr", "slice", "sort", "sum", "unique", "wordcount"}
)
# filters that do nothing but what Said does itself
PRECISE = frozenset({"capitalize", "lower", "replace", "trim", "truncate", "upper"})
PASSED = (Context, EvalContext, Environment)  # what jinja hands to filters beside their values
PLACE = re.compile("\0(\\d+)\0")


class TrackingEnvironment(Environment):
    """Writes what Environment writes, in pieces of which those that are Said know their origin."""

    intercepted_binops = Environment.intercepted_binops | {"%"}
    concat = staticmethod(concat)  # of macros, set blocks, calls and loops

    def __init__(self, clock: Clock):
        super().__init__(clock, finalize=as_text)
        for name, function in self.filters.items():
            if name not in PASSING:
                self.filters[name] = _tracked(function, name in PRECISE)
        self.filters |= {"join": _join, "string": as_text, "format": _format}
        self.globals["strftime_now"] = _tracked(clock.now)

    def joined(self, parts: Iterable[Any]) -> Said:
        """The operator ~."""
        return concat(map(as_text, parts))

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "%" and isinstance(left, str):
            return _percent(left, right)
        return super().call_binop(context, operator, left, right)

    def call(self, context: Any, function: Any, *args: Any, **named: Any) -> Any:
        """A method of a text that the template wrote may be given what people wrote."""
        owner = getattr(function, "__self__", None)
        if type(owner) is str and isinstance(function, BuiltinMethodType):
            function = getattr(Said(owner), function.__name__)
        return super().call(context, function, *args, **named)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        is_method = isinstance(value, MethodType | BuiltinMethodType) and isinstance(value.__self__, str)
        if not is_method or value.__name__ not in ("format", "format_map"):
            return None
        form = str(value.__self__)
        if value.__name__ == "format_map":
            return lambda names: _Formatter(self).fill(form, (), names)
        return lambda *args, **named: _Formatter(self).fill(form, args, named)


class _Generator(CodeGenerator):
    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        self.write("environment.joined((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")

    def visit_ScopedEvalContextModifier(self, *_: Any) -> None:
        raise Own("it escapes what it writes")


TrackingEnvironment.code_generator_class = _Generator


class _Formatter(SandboxedFormatter):
    """Leaves a mark where each value belongs, and puts it there with what it knows."""

    def fill(self, form: str, args: Sequence[Any], named: Mapping[str, Any]) -> str:
        self._values: list[str] = []
        filled = self.vformat(form, args, named)
        return _filled(filled, self._values, form)

    def format_field(self, value: Any, format_spec: str) -> str:
        text = str.__str__(super().format_field(value, format_spec))
        place = f"\0{len(self._values)}\0"
        if not format_spec:
            self._values.append(as_text(value))
        else:
            self._values.append(all_said(text) if is_said(value) else text)
        return place


def _percent(form: str, values: Any) -> Any:
    kept: list[str] = []

    def place(value: Any) -> Any:
        if isinstance(value, int | float):
            return value
        kept.append(as_text(value))
        return f"\0{len(kept) - 1}\0"

    text = str.__mod__(form, values)
    if isinstance(values, Mapping):
        places: Any = {name: place(value) for name, value in values.items()}
    else:
        places = tuple(map(place, values)) if isinstance(values, tuple) else place(values)
    filled = _filled(str.__mod__(form, places), kept, form)
    return filled if filled == text else all_said(text)  # widths, and forms other than %s


def _filled(text: str, values: list[str], form: str) -> str:
    if is_said(form):
        return all_said(PLACE.sub(lambda place: values[int(place[1])], text))
    pieces = PLACE.split(text)
    return concat(values[int(piece)] if at % 2 else piece for at, piece in enumerate(pieces))


@pass_environment
def _join(environment: Environment, value: Iterable[Any], d: str = "", attribute: str | int | None = None) -> str:
    if attribute is not None:
        value = map(make_attrgetter(environment, attribute), value)
    sign: Said = as_said(as_text(d))
    return sign.join(map(as_text, value))


def _format(form: str, *args: Any, **named: Any) -> Any:
    if args and named:
        raise FilterArgumentError("format takes values in their order or by their names, not both")
    return _percent(form, named or args)


def _tracked(function: Callable[..., Any], is_precise: bool = False) -> Callable[..., Any]:
    """What it makes of texts with an origin, and of anything that may hold such, counts as said, unless it is precise.
    Never a Markup, which would escape what is added to it, and then know it as its own."""
    given = as_said if is_precise else _exact

    @wraps(function)  # jinja reads from it what else it wants to be passed
    def tracked(*args: Any, **named: Any) -> Any:
        made = function(*map(given, args), **{name: given(value) for name, value in named.items()})
        if not isinstance(made, str) or (is_precise and isinstance(made, Said)):
            return made
        values = (value for value in (*args, *named.values()) if not isinstance(value, PASSED))
        return all_said(_exact(made)) if any(map(is_said, values)) else Said(made)

    return tracked


def _exact(value: Any) -> Any:
    return str.__str__(value) if isinstance(value, Said) else value
