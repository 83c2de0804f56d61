"""Calls as Python writes them: `[name(key='value', …), …]`."""

import ast
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from backends.chat.constraint import Constraint
from backends.chat.json_text import MAX_DEPTH, dumped, entries, loaded, sound, whole_characters
from backends.chat.pattern import ALONE, Pattern, first_word, read_head, read_name, read_tail
from backends.chat.reader import Broken, Reader, Steps
from backends.chat.schemas import property_of
from backends.chat.syntax import Parsing
from backends.messages import Tool, ToolCall

PLAIN = re.compile(r"[^()\[\]{},'\"=\\#]+")  # of a value, what neither nests nor quotes
OPENING = {"(": ")", "[": "]", "{": "}"}
IN_STRING = {'"': re.compile(r'[^"\\\n]+'), "'": re.compile(r"[^'\\\n]+")}
JSONS = {"true": True, "false": False, "null": None}  # models mix the two
ESCAPES = frozenset("\\'\"abfnrtvxuUN0")
SEPARATORS = (",", ";")


@dataclass(frozen=True, slots=True)
class Pythonic:
    """around: what stands around `{calls}`. is_list: they stand in brackets. is_bare: they also count where an answer
    begins with a bracket, and names a tool behind it."""

    around: Pattern = ALONE
    is_list: bool = True
    is_bare: bool = False

    @property
    def openers(self) -> tuple[str, ...]:
        return tuple(filter(None, (first_word(self.around.head),)))

    @property
    def texts(self) -> tuple[str, ...]:
        return self.around.words()

    @property
    def firsts(self) -> str:
        return "[" if self.is_bare else ""

    def read(self, parsing: Parsing) -> Steps[None]:
        reader = parsing.reader
        parsing.telling.open_call()
        is_marked = yield from read_head(reader, self.around.head)
        yield from reader.skip_white()
        is_list = (yield from reader.accept("[")) is not None
        if not is_list and not is_marked:
            raise Broken
        yield from _read_calls(parsing, is_list, is_marked)
        if is_marked:
            yield from read_tail(reader, self.around.tail)

    def write(self, calls: Sequence[ToolCall]) -> str:
        texts = [f"{call.name}({_written(call.arguments)})" for call in calls]
        return self.around.write(calls=f"[{', '.join(texts)}]" if self.is_list else "\n".join(texts))

    def constrain(self, constraint: Constraint, tools: Iterable[Tool], is_parallel: bool) -> str:
        calls = constraint.rule(" | ".join(f"({_constrained(constraint, tool)})" for tool in tools))
        inner = constraint.several(calls, ", " if self.is_list else "\n", is_parallel)
        opening, closing = ("[", "]") if self.is_list else ("", "")
        head, tail = constraint.literal(self.around.head + opening), constraint.literal(closing + self.around.tail)
        return f"{head} {inner} {tail}"


def _read_calls(parsing: Parsing, is_list: bool, is_marked: bool) -> Steps[None]:
    reader = parsing.reader
    while True:
        yield from _read_call(parsing, is_marked)
        yield from reader.skip_white()
        if is_list:
            if not (yield from reader.peek()) or (yield from reader.expect(",", "]")) == "]":
                return
        elif not (yield from reader.accept(*SEPARATORS)):
            sign = yield from reader.peek()
            if not (sign.isalpha() or sign == "_"):
                return


def _read_call(parsing: Parsing, is_marked: bool) -> Steps[None]:
    reader, telling, offered = parsing.reader, parsing.telling, parsing.offered
    name = yield from read_name(reader)
    if not name or not (is_marked or name in offered):
        raise Broken
    yield from reader.expect("(")
    telling.begin(name)
    telling.argue("{")
    keys: list[str] = []
    yield from reader.skip_white()
    while not (yield from reader.accept(")")):
        key, value = yield from _read_argument(reader)
        key = key or offered.key(name, len(keys)) or ""
        if not key or key in keys:
            raise Broken
        telling.argue(f"{', ' if keys else ''}{dumped(key)}: {value}")
        keys.append(key)
        yield from reader.skip_white()
        if (yield from reader.expect(",", ")")) == ")":
            break
        yield from reader.skip_white()
    telling.argue("}")
    telling.end_call()


def _read_argument(reader: Reader) -> Steps[tuple[str, str]]:
    """Its key, nothing where it has none, and its value as JSON."""
    text = yield from _read_value(reader)
    key = ""
    if (yield from reader.accept("=")):
        key = text.strip()
        text = yield from _read_value(reader)
    return key, _json(text)


def _read_value(reader: Reader) -> Steps[str]:
    """Up to what separates it from the next one. Raises Broken."""
    pieces: list[str] = []
    open_ones: list[str] = []
    while True:
        sign = yield from reader.peek()
        if sign in IN_STRING:
            yield from _read_string(reader, sign, pieces)
        elif sign in OPENING:
            pieces.append((yield from reader.expect(sign)))
            open_ones.append(OPENING[sign])
            if len(open_ones) > MAX_DEPTH:
                raise Broken
        elif open_ones and sign == open_ones[-1]:
            pieces.append((yield from reader.expect(open_ones.pop())))
        elif open_ones and sign == ",":
            pieces.append((yield from reader.expect(sign)))
        elif not open_ones and sign in (",", ")", "="):
            return "".join(pieces)
        elif not (piece := reader.run_now(PLAIN)):
            raise Broken
        else:
            pieces.append(piece)


def _read_string(reader: Reader, quote: str, pieces: list[str]) -> Steps[None]:
    pieces.append((yield from reader.expect(quote)))
    while (sign := (yield from reader.peek())) != quote:
        if sign == "\\":
            yield from reader.expect(sign)
            escaped = yield from reader.any_one()
            pieces.append((sign if escaped in ESCAPES else sign + sign) + escaped)  # others are what they are
        elif sign == "\n":  # no Python, but models write line breaks into strings
            yield from reader.expect(sign)
            pieces.append("\\n")
        elif piece := reader.run_now(IN_STRING[quote]):
            pieces.append(piece)
        else:
            raise Broken
    pieces.append((yield from reader.expect(quote)))


def _json(text: str) -> str:
    """Raises Broken for what is no constant."""
    try:
        return sound(whole_characters(dumped(_value(ast.parse(text.strip(), mode="eval").body))))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise Broken from None


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value) if isinstance(value, str | int | float | bool | None):
            return value
        case ast.List(elements) | ast.Tuple(elements):
            return [_value(element) for element in elements]
        case ast.Dict(keys, values):
            return {_key(key): _value(value) for key, value in zip(keys, values, strict=True)}
        case ast.UnaryOp(ast.USub(), ast.Constant(value)) if isinstance(value, int | float):
            return -value
        case ast.Name(name) if name in JSONS:
            return JSONS[name]
    raise Broken


def _key(node: ast.expr | None) -> str:
    value = _value(node) if node else None
    if not isinstance(value, str):
        raise Broken
    return value


def _written(arguments: str) -> str:
    values = entries(arguments)
    return ", ".join(f"{key}={value!r}" for key, value in values.items())


def _constrained(constraint: Constraint, tool: Tool) -> str:
    """Values as JSON, which is read here as well. The first required argument, or the first, needs no comma."""
    schema = loaded(tool.parameters)
    properties: dict[str, Any] = schema.get("properties", {}) if isinstance(schema, dict) else {}
    required = [key for key in properties if key in schema.get("required", ())]
    optional = [key for key in properties if key not in required]

    def argument(key: str) -> str:
        return f"{constraint.literal(f'{key}=')} {constraint.json(property_of(tool, properties[key]))}"

    parts = [constraint.literal(f"{tool.name}(")]
    for number, key in enumerate(required):
        parts += ['", "'] if number else []
        parts.append(argument(key))
    if required:
        parts += [f'(", " {argument(key)})?' for key in optional]
    elif optional:
        parts.append(f"({' | '.join(argument(key) for key in optional)})?")
    return " ".join([*parts, '")"'])
