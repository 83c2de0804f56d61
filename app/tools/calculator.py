"""Arithmetic for models, which are bad at it. A small language of its own: nothing that is given is ever executed."""

import ast
import math
import operator
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

from app.tools.tool import Outcome, finished

MAX_LENGTH = 300  # characters of an expression, which bounds its depth and its time as well
MAX_BITS = 4096  # of a whole number: what grows further is told, not computed
MAX_FACTORIAL = 400
DIGITS = 15  # that a float holds for certain
NAMES = {"pi": math.pi, "e": math.e, "tau": math.tau}
SPELLINGS = str.maketrans({"^": "**", "×": "*", "·": "*", "÷": "/", "−": "-", "–": "-"})

Number = int | float


class _NoResult(ValueError):
    """A sentence for the model."""


class Calculator:
    name = "calculator"
    description = (
        "Evaluates an arithmetic expression exactly, e.g. (1299 * 3 - 15) / 7 or sqrt(2) * sin(pi / 4). "
        "Knows + - * / // % ^ and parentheses, sqrt, exp, ln, log10, log2, sin, cos, tan, asin, acos, atan, abs, "
        "round, floor, ceil, factorial, gcd, min, max, pi and e. Angles are in radians."
    )
    parameters = (
        '{"type": "object", "properties": {"expression": {"type": "string", "description": "The expression"}}, '
        '"required": ["expression"]}'
    )

    def start(self, arguments: Mapping[str, Any]) -> "Future[Outcome]":
        expression = arguments.get("expression")
        if not isinstance(expression, str):
            return finished(Outcome('Give the expression as text, as in {"expression": "2 + 3"}.', is_error=True))
        try:
            return finished(Outcome(calculate(expression)))
        except ValueError as fault:
            return finished(Outcome(str(fault), is_error=True))


def calculate(expression: str) -> str:
    """The value as text. Raises ValueError with a sentence for what has none."""
    if len(expression) > MAX_LENGTH:
        raise _NoResult(f"An expression may have at most {MAX_LENGTH} characters.")
    try:
        tree = ast.parse(expression.strip().translate(SPELLINGS), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):  # the last two: parentheses without end
        raise _NoResult("That is no arithmetic expression.") from None
    try:
        return _told(_value(tree.body))
    except ZeroDivisionError:
        raise _NoResult("That divides by zero.") from None
    except OverflowError:
        raise _NoResult("The result is too large.") from None
    except _NoResult:
        raise
    except (ValueError, TypeError):
        raise _NoResult("That has no real value, or a function was given what it does not take.") from None


def _value(node: ast.expr) -> Number:
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return _bounded(value)
        case ast.Name(id=name) if name in NAMES:
            return NAMES[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _value(operand)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _bounded(_OPERATORS[type(op)](_value(left), _value(right)))
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in _FUNCTIONS:
            return _bounded(_FUNCTIONS[name](*map(_value, arguments)))
    raise _NoResult("Only numbers, + - * / // % ^, parentheses and the functions that are named can be used.")


def _power(base: Number, exponent: Number) -> Number:
    # told by the size of the result alone, before it is computed
    if isinstance(base, int) and isinstance(exponent, int) and base.bit_length() * exponent > MAX_BITS + 1:
        raise OverflowError
    return _bounded(base**exponent)


def _factorial(number: Number) -> Number:
    if number > MAX_FACTORIAL:
        raise OverflowError
    return math.factorial(_whole(number))


def _whole(number: Number) -> int:
    """Raises ValueError for 2.5."""
    if number != int(number):
        raise ValueError(number)
    return int(number)


def _rounded(number: Number, digits: Number = 0) -> Number:
    return round(number, min(_whole(digits), DIGITS)) if digits else round(number)


def _bounded(value: Any) -> Number:
    if isinstance(value, int):
        if value.bit_length() > MAX_BITS:
            raise OverflowError
        return value
    if not isinstance(value, float) or not math.isfinite(value):  # the root of a negative number is complex
        raise ValueError(value)
    return value


def _told(value: Number) -> str:
    return str(value) if isinstance(value, int) else f"{value:.{DIGITS}g}"


_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sqrt": math.sqrt,
    "exp": math.exp,
    "ln": math.log,
    "log": math.log,
    "log10": math.log10,
    "log2": math.log2,
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "asin": math.asin,
    "acos": math.acos,
    "atan": math.atan,
    "abs": abs,
    "round": _rounded,
    "floor": math.floor,
    "ceil": math.ceil,
    "factorial": _factorial,
    "gcd": lambda *numbers: math.gcd(*map(_whole, numbers)),
    "min": min,
    "max": max,
}
