"""Calls as Gemma 4 writes them: `call:name{key:<|"|>text<|"|>,other:[1,2]}`, JSON without quotes around keys and with
a token of its own around strings."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from backends.chat.constraint import Constraint
from backends.chat.json_text import CLOSING, MAX_DEPTH, MAX_WORD, dumped, entries, is_scalar, loaded
from backends.chat.pattern import MAX_NAME, Pattern, read_literal, read_name, read_tail
from backends.chat.reader import Broken, Reader, Steps, Stops
from backends.chat.syntax import Parsing
from backends.chat.telling import Telling
from backends.messages import Tool, ToolCall

MAX_NESTING = 6  # of a schema; what lies deeper may be anything
QUOTE = '<|"|>'
QUOTES = Stops((QUOTE,))
KEY = re.compile(r"[^\s:,{}\[\]<>]+")
WORD = re.compile(r"[\w+.\-]+")


@dataclass(frozen=True, slots=True)
class Gemma:
    """call: with `{name}` and `{arguments}`."""

    call: Pattern

    @property
    def openers(self) -> tuple[str, ...]:
        return (self.call.head.partition(">")[0] + ">",)

    @property
    def texts(self) -> tuple[str, ...]:
        return (*self.call.words(), QUOTE)

    @property
    def firsts(self) -> str:
        return ""

    def read(self, parsing: Parsing) -> Steps[None]:
        reader, telling = parsing.reader, parsing.telling
        telling.open_call()
        head, _, middle, _, tail = self.call.pieces()
        yield from read_literal(reader, head)
        name = yield from read_name(reader)
        if not name:
            raise Broken
        yield from read_literal(reader, middle)
        if (yield from reader.peek()) != "{":
            raise Broken
        telling.begin(name)
        yield from _read_value(reader, telling)
        yield from read_tail(reader, tail)
        telling.end_call()

    def write(self, calls: Sequence[ToolCall]) -> str:
        return "".join(self.call.write(name=call.name, arguments=_written(entries(call.arguments))) for call in calls)

    def constrain(self, constraint: Constraint, tools: Iterable[Tool], is_parallel: bool) -> str:
        calls = " | ".join(f"({self._constrained(constraint, tool)})" for tool in tools)
        return constraint.several(constraint.rule(calls), "", is_parallel)

    def _constrained(self, constraint: Constraint, tool: Tool) -> str:
        head, _, middle, _, tail = self.call.pieces()
        value = _Values(constraint, loaded(tool.parameters)).expression()
        return f"{constraint.literal(head + tool.name + middle)} {value} {constraint.literal(tail)}"


def _read_value(reader: Reader, telling: Telling) -> Steps[None]:
    """Told as JSON. Raises Broken."""
    open_ones: list[str] = []
    while True:
        is_open = yield from _read_begin(reader, telling, open_ones)
        while not is_open:
            if not open_ones:
                return
            yield from reader.skip_white()
            sign = yield from reader.expect(",", CLOSING[open_ones[-1]])
            if sign == ",":
                telling.argue(", ")
                break
            telling.argue(sign)
            open_ones.pop()
        if open_ones[-1] == "{":
            yield from _read_key(reader, telling)


def _read_begin(reader: Reader, telling: Telling, open_ones: list[str]) -> Steps[bool]:
    """Whether an object or a list has been opened that is not empty; else a value has been read."""
    yield from reader.skip_white()
    if opening := (yield from reader.accept("{", "[")):
        telling.argue(opening)
        yield from reader.skip_white()
        if closing := (yield from reader.accept(CLOSING[opening])):
            telling.argue(closing)
            return False
        open_ones.append(opening)
        if len(open_ones) > MAX_DEPTH:
            raise Broken
        return True
    if (yield from reader.accept(QUOTE)):
        telling.argue('"')
        if not (yield from reader.until(QUOTES, lambda text: telling.argue(dumped(text)[1:-1]))):
            raise Broken
        yield from reader.expect(QUOTE)
        telling.argue('"')
        return False
    word = yield from reader.run(WORD, MAX_WORD)
    if not is_scalar(word):
        raise Broken
    telling.argue(word)
    return False


def _read_key(reader: Reader, telling: Telling) -> Steps[None]:
    yield from reader.skip_white()
    is_quoted = yield from reader.accept(QUOTE)
    key = yield from reader.run(KEY, MAX_NAME)
    if not key:
        raise Broken
    if is_quoted:
        yield from reader.expect(QUOTE)
    yield from reader.skip_white()
    yield from reader.expect(":")
    telling.argue(f"{dumped(key)}: ")


def _written(value: Any) -> str:
    match value:
        case str():
            return f"{QUOTE}{value}{QUOTE}"
        case dict():
            return "{" + ",".join(f"{key}:{_written(value[key])}" for key in sorted(value)) + "}"
        case list():
            return "[" + ",".join(map(_written, value)) + "]"
    return dumped(value)


class _Values:
    """The grammar of what a schema allows, as far as this writing can hold it: kinds, names and required entries."""

    def __init__(self, constraint: Constraint, schema: Any):
        self._constraint = constraint
        self._schema = schema
        self._any = ""

    def expression(self) -> str:
        return self._value(self._schema, MAX_NESTING)

    def _value(self, schema: Any, depth: int) -> str:
        schema = self._resolved(schema)
        if not isinstance(schema, dict) or not depth:
            return self._anything()
        choices = schema.get("enum", [schema["const"]] if "const" in schema else None)
        if choices:
            return self._one_of(self._constraint.literal(_written(choice)) for choice in choices)
        parts = schema.get("anyOf") or schema.get("oneOf")
        if parts:
            return self._one_of(self._value(part, depth - 1) for part in parts)
        kinds = schema.get("type", "object" if "properties" in schema else None)
        if isinstance(kinds, list):
            return self._one_of(self._value(schema | {"type": kind}, depth - 1) for kind in kinds)
        match kinds:
            case "string":
                return f"{self._constraint.literal(QUOTE)} {self._constraint.until(QUOTE)}"
            case "array":
                item = self._constraint.rule(self._value(schema.get("items"), depth - 1))
                return f'"[" ({item} ("," {item})*)? "]"'
            case "object" if schema.get("properties"):
                return self._object(schema, depth)
            case "object":
                return f'"{{" ({self._entry()} ("," {self._entry()})*)? "}}"'
            case "integer" | "number" | "boolean" | "null":
                return self._constraint.json({"type": kinds})
        return self._anything()

    def _object(self, schema: dict[str, Any], depth: int) -> str:
        """Entries in the order of their names, as the template writes them."""
        entries = []
        for key in sorted(schema["properties"]):
            value = self._value(schema["properties"][key], depth - 1)
            entries.append((f"{self._constraint.literal(f'{key}:')} {value}", key in schema.get("required", ())))
        first = next((at for at, (_, is_required) in enumerate(entries) if is_required), None)
        if first is None:
            return f'"{{" ({" | ".join(entry for entry, _ in entries)})? "}}"'
        parts = ['"{"', *(f'({entry} ",")?' for entry, _ in entries[:first]), entries[first][0]]
        parts += [f'("," {entry})' + ("" if is_required else "?") for entry, is_required in entries[first + 1 :]]
        return " ".join([*parts, '"}"'])

    def _one_of(self, expressions: Iterable[str]) -> str:
        return f"({' | '.join(expressions)})"

    def _entry(self) -> str:
        return f'/[A-Za-z_]\\w{{0,63}}/ ":" {self._anything()}'

    def _anything(self) -> str:
        """The rule of any value; it is its own part."""
        if not self._any:
            self._any = self._constraint.rule("")
            text = f"{self._constraint.literal(QUOTE)} {self._constraint.until(QUOTE)}"
            scalar = self._constraint.json({"type": ["number", "boolean", "null"]})
            entry = f'/[A-Za-z_]\\w{{0,63}}/ ":" {self._any}'
            listed = f'"[" ({self._any} ("," {self._any})*)? "]"'
            self._constraint.set(self._any, f'{text} | {scalar} | {listed} | "{{" ({entry} ("," {entry})*)? "}}"')
        return self._any

    def _resolved(self, schema: Any) -> Any:
        """Where it refers to a definition, that."""
        for _ in range(MAX_DEPTH):
            if not (isinstance(schema, dict) and isinstance(schema.get("$ref"), str)):
                return schema
            target = self._schema
            for name in schema["$ref"].removeprefix("#/").split("/"):
                target = target.get(name) if isinstance(target, dict) else None
            schema = target
        return None
