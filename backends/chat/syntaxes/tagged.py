"""Calls that write each argument between marks of its own, strings without quotes."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from backends.chat.constraint import Constraint
from backends.chat.json_text import Tell, dumped, entries, loaded
from backends.chat.pattern import ALONE, MAX_NAME, Pattern, first_word, read_head, read_literal, read_name, read_tail
from backends.chat.reader import Broken, Steps, Stops
from backends.chat.schemas import property_of
from backends.chat.syntax import Parsing
from backends.messages import Tool, ToolCall

KEY = re.compile(r"[^<>\"\n]+")
STRINGS = frozenset({"true", "string"})  # what formats that tell the kind of a value say of a string
LINE = "\n"
MARK = "<"


@dataclass(frozen=True, slots=True)
class Tagged:
    """call: with `{name}` and `{arguments}`. argument: with `{key}`, maybe `{kind}`, and `{value}`; a line break beside
    the value belongs to the marks. around: what stands around all `{calls}` of a turn. kinds: what `{kind}` says of a
    string, and of anything else. quotes: may stand around a value that holds marks."""

    call: Pattern
    argument: Pattern
    around: Pattern = ALONE
    between: str = "\n"
    kinds: tuple[str, str] = ("true", "false")
    quotes: tuple[str, str] | None = None

    @property
    def openers(self) -> tuple[str, ...]:
        # Qwen3-Coder forgets the first one at times
        return tuple(filter(None, (first_word(self.around.head), *_marks(self.call.head))))

    @property
    def texts(self) -> tuple[str, ...]:
        return self.around.words() + self.call.words() + self.argument.words()

    @property
    def firsts(self) -> str:
        return ""

    def read(self, parsing: Parsing) -> Steps[None]:
        telling, reader = parsing.telling, parsing.reader
        telling.open_call()
        is_wrapped = yield from read_head(reader, self.around.head)
        yield from _Call(self, parsing).read()
        closing = first_word(self.around.tail)
        while is_wrapped and closing:
            yield from reader.skip_white()
            if not (yield from reader.peek()) or (yield from reader.accept(closing)):
                return
            yield from _Call(self, parsing).read()

    def write(self, calls: Sequence[ToolCall]) -> str:
        return self.around.write(calls=self.between.join(map(self._written, calls)))

    def constrain(self, constraint: Constraint, tools: Iterable[Tool], is_parallel: bool) -> str:
        calls = " | ".join(f"({self._constrained(constraint, tool)})" for tool in tools)
        inner = constraint.several(constraint.rule(calls), self.between, is_parallel)
        return f"{constraint.literal(self.around.head)} {inner} {constraint.literal(self.around.tail)}"

    def _written(self, call: ToolCall) -> str:
        arguments = entries(call.arguments)
        return self.call.write(name=call.name, arguments="".join(self._argument(*entry) for entry in arguments.items()))

    def _argument(self, key: str, value: Any) -> str:
        is_text = isinstance(value, str)
        text = value if is_text else dumped(value)
        if is_text and self.quotes and MARK in text:
            text = text.join(self.quotes)
        return self.argument.write(key=key, value=text, kind=self.kinds[0 if is_text else 1])

    def _constrained(self, constraint: Constraint, tool: Tool) -> str:
        head, _, middle, _, tail = self.call.pieces()
        schema = loaded(tool.parameters)
        properties = schema.get("properties", {}) if isinstance(schema, dict) else {}
        required = schema.get("required", ()) if isinstance(schema, dict) else ()
        arguments = [
            f"({self._constrained_argument(constraint, tool, key, value)})" + ("" if key in required else "?")
            for key, value in properties.items()
        ]
        literals = constraint.literal(head + tool.name + middle), constraint.literal(tail)
        return " ".join((literals[0], *arguments, literals[1]))

    def _constrained_argument(self, constraint: Constraint, tool: Tool, key: str, schema: Any) -> str:
        text, _, tail = self.argument.write(key=key, value="\0", kind="\1").partition("\0")
        is_text, choices = _texts(schema)
        head = constraint.literal(text.replace("\1", self.kinds[0 if is_text else 1]))
        if choices:
            values = " | ".join(constraint.literal(choice) for choice in choices)
            return f"{head} ({values}) {constraint.literal(tail)}"
        if is_text:
            closing = tail[: len(tail) - len(tail.lstrip())] + first_word(tail)
            return f"{head} {constraint.until(closing)} {constraint.literal(tail.removeprefix(closing))}"
        return f"{head} {constraint.json(property_of(tool, schema))} {constraint.literal(tail)}"


class _Call:
    def __init__(self, syntax: Tagged, parsing: Parsing):
        self._call, self._argument = syntax.call, syntax.argument
        self._reader, self._telling, self._offered = parsing.reader, parsing.telling, parsing.offered
        self._name = ""
        self._keys: set[str] = set()
        pieces = self._argument.pieces()
        self._opening, self._closing = pieces[0], pieces[-1]
        self._end_of_value = Stops((first_word(self._closing),))
        self._quotes = syntax.quotes
        self._between = list(zip(pieces[2:-2:2], pieces[3::2], strict=True))  # a literal, and what follows it

    def read(self) -> Steps[None]:
        reader, telling = self._reader, self._telling
        yield from self._read_head()
        telling.begin(self._name)
        telling.argue("{")
        opening, closing = first_word(self._opening), first_word(self._call.tail)
        while True:
            yield from reader.skip_white()
            found = yield from reader.expect(opening, *filter(None, (closing,)))
            if found != opening:
                break
            yield from read_literal(reader, self._opening.lstrip().removeprefix(opening))
            yield from self._read_argument()
        telling.argue("}")
        yield from read_tail(reader, self._call.tail.lstrip().removeprefix(closing))
        telling.end_call()

    def _read_head(self) -> Steps[None]:
        """The opening words, of which all but the last may be missing, the name, and what is behind it."""
        reader = self._reader
        head, _, middle, *_ = self._call.pieces()
        marks = _marks(head)
        if len(marks) > 1:
            yield from reader.accept(marks[0])
            head = head.lstrip().removeprefix(marks[0])
        yield from read_literal(reader, head)
        self._name = yield from read_name(reader)
        if not self._name:
            raise Broken
        yield from read_literal(reader, middle)

    def _read_argument(self) -> Steps[None]:
        reader = self._reader
        key = (yield from reader.run(KEY, MAX_NAME)).strip()
        if not key or key in self._keys:
            raise Broken
        is_text = self._offered.is_text(self._name, key)
        for literal, place in self._between:
            yield from read_literal(reader, literal.rstrip(LINE) if place == "value" else literal)
            if place == "kind":
                is_text = (yield from read_name(reader)) in STRINGS
        self._telling.argue(f"{', ' if self._keys else ''}{dumped(key)}: ")
        self._keys.add(key)
        yield from self._read_value(key, is_text)
        closing = self._closing.lstrip()
        yield from read_literal(reader, closing.removeprefix(first_word(closing)))

    def _read_value(self, key: str, is_text: bool) -> Steps[None]:
        """Up to its closing mark, and that."""
        has_lines = self._closing.startswith(LINE)
        value = _Value(self._telling.argue if is_text else None, has_lines)
        if has_lines:
            yield from self._reader.accept(LINE)
        if self._quotes and (yield from self._reader.accept(self._quotes[0])):
            yield from self._read_quoted(value, self._quotes[1])
        if not (yield from self._reader.until(self._end_of_value, value.add)):
            raise Broken
        yield from self._reader.expect(*self._end_of_value.texts)
        text = value.end()
        if is_text:
            return
        self._telling.argue(self._offered.value_of(self._name, key, text))

    def _read_quoted(self, value: "_Value", end: str) -> Steps[None]:
        if not (yield from self._reader.until(Stops((end,)), value.add)):
            raise Broken
        yield from self._reader.expect(end)


class _Value:
    """Of a string, told at once; of another kind, kept to the end. A line break at its end belongs to the mark."""

    def __init__(self, tell: Tell | None, has_lines: bool):
        self._tell = tell
        self._has_lines = has_lines
        self._pieces: list[str] = []
        self._held = ""
        if tell:
            tell('"')

    def add(self, text: str) -> None:
        text = self._held + text
        self._held = LINE if self._has_lines and text.endswith(LINE) else ""
        text = text[: len(text) - len(self._held)]
        if self._tell:
            self._tell(dumped(text)[1:-1])
        else:
            self._pieces.append(text)

    def end(self) -> str:
        if self._tell:
            self._tell('"')
        return "".join(self._pieces)


def _marks(literal: str) -> list[str]:
    return [word for word in literal.split() if word.startswith(MARK)]


def _texts(schema: Any) -> tuple[bool, list[str]]:
    """Whether the value is a string, and which ones it may be, if those are named."""
    if not isinstance(schema, dict):
        return False, []
    choices = schema.get("enum", [schema["const"]] if "const" in schema else [])
    if choices and all(isinstance(choice, str) for choice in choices):
        return True, choices
    return schema.get("type") == "string" and not choices, []
