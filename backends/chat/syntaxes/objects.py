"""Calls as JSON objects that hold name and arguments, one or a list of them, with or without marks around."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from backends.chat.constraint import Constraint
from backends.chat.json_text import dumped, is_object, loaded, read_string, read_value, read_whole, sound
from backends.chat.pattern import ALONE, Pattern, first_word, read_head, read_tail
from backends.chat.reader import Broken, Steps
from backends.chat.schemas import object_of, parameters_of, rooted
from backends.chat.syntax import Parsing
from backends.messages import Tool, ToolCall

NAMES = ("name", "tool_name")
ARGUMENTS = ("arguments", "parameters", "args")
BESIDE = ("type", "id")  # what a call without marks may hold, too
SEPARATORS = (",", ";")


@dataclass(frozen=True, slots=True)
class Objects:
    """around: what stands around `{calls}`; nothing for bare objects, which count where an answer begins with one, and
    it names a tool. is_list: calls are written as one list. keys: of name and arguments, as they are written; any are
    read. None: the name itself is the key, of the arguments. between: separates objects that are no list."""

    around: Pattern = ALONE
    is_list: bool = False
    keys: tuple[str, str] | None = ("name", "arguments")
    between: str = "\n"
    is_repeated: bool = False  # around each call stand marks of its own
    is_bare: bool = False  # also counts without its marks

    @property
    def openers(self) -> tuple[str, ...]:
        return tuple(filter(None, (first_word(self.around.head),)))

    @property
    def texts(self) -> tuple[str, ...]:
        return self.around.words()

    @property
    def firsts(self) -> str:
        return "{[" if self.is_bare else ""

    def read(self, parsing: Parsing) -> Steps[None]:
        telling, reader = parsing.telling, parsing.reader
        telling.open_call()
        is_marked = yield from read_head(reader, self.around.head)
        if is_marked:
            yield from reader.skip_white()
        if (yield from reader.accept("[")):
            yield from self._read_list(parsing, is_marked)
        else:
            yield from self._read_objects(parsing, is_marked)
        if is_marked:
            yield from read_tail(reader, self.around.tail)

    def write(self, calls: Sequence[ToolCall]) -> str:
        objects = [self._written(call) for call in calls]
        if self.is_list:
            return self.around.write(calls=f"[{', '.join(objects)}]")
        if self.is_repeated:
            return self.between.join(self.around.write(calls=text) for text in objects)
        return self.around.write(calls=self.between.join(objects))

    def constrain(self, constraint: Constraint, tools: Iterable[Tool], is_parallel: bool) -> str:
        tools = list(tools)
        schemas = [_schema(tool, number, self.keys) for number, tool in enumerate(tools)]
        one = constraint.json(rooted({"anyOf": schemas} if len(schemas) > 1 else schemas[0], tools))
        head, tail = constraint.literal(self.around.head), constraint.literal(self.around.tail)
        if self.is_repeated:
            each = f"{head} {one} {tail}"
            return constraint.several(each, self.between, is_parallel)
        between = ", " if self.is_list else self.between
        inner = constraint.several(one, between, is_parallel)
        opening, closing = ('"["', '"]"') if self.is_list else ("", "")
        return f"{head} {opening} {inner} {closing} {tail}"

    def _written(self, call: ToolCall) -> str:
        if self.keys is None:
            return f"{{{dumped(call.name)}: {call.arguments or '{}'}}}"
        name, arguments = self.keys
        return f'{{"{name}": {dumped(call.name)}, "{arguments}": {call.arguments or "{}"}}}'

    def _read_list(self, parsing: Parsing, is_marked: bool) -> Steps[None]:
        reader = parsing.reader
        while True:
            yield from reader.skip_white()
            yield from _read_object(parsing, is_marked)
            yield from reader.skip_white()
            if not (yield from reader.peek()) or (yield from reader.expect(",", "]")) == "]":
                return

    def _read_objects(self, parsing: Parsing, is_marked: bool) -> Steps[None]:
        reader = parsing.reader
        yield from _read_object(parsing, is_marked)
        while True:
            yield from reader.skip_white()
            separator = yield from reader.accept(*SEPARATORS)
            yield from reader.skip_white()
            if (yield from reader.peek()) != "{":
                if separator:
                    raise Broken
                return
            yield from _read_object(parsing, is_marked)


def _read_object(parsing: Parsing, is_marked: bool) -> Steps[None]:
    """is_marked: said to be a call; else it must name a tool."""
    yield from parsing.reader.expect("{")
    walk = _Walk(parsing, is_marked)
    yield from walk.entries()
    walk.end()


class _Walk:
    """Through the entries of one object. Arguments that come before the name wait for it."""

    def __init__(self, parsing: Parsing, is_marked: bool):
        self._reader = parsing.reader
        self._telling = parsing.telling
        self._offered = parsing.offered
        self._is_marked = is_marked
        self._is_begun = False
        self._early: str | None = None
        self._has_arguments = False

    def entries(self) -> Steps[None]:
        """Behind the opening brace, up to the closing one. Raises Broken."""
        reader = self._reader
        while True:
            yield from reader.skip_white()
            key = yield from read_string(reader)
            yield from reader.skip_white()
            yield from reader.expect(":")
            yield from reader.skip_white()
            yield from self._entry(key)
            yield from reader.skip_white()
            if (yield from reader.expect(",", "}")) == "}":
                return

    def end(self) -> None:
        """Raises Broken for an object that is no call."""
        if not self._is_begun:
            raise Broken
        if not self._has_arguments:
            self._telling.argue("{}")
        self._telling.end_call()

    def _entry(self, key: str) -> Steps[None]:
        sign = yield from self._reader.peek()
        if key in NAMES or (key == "function" and sign == '"'):
            self._begin((yield from read_string(self._reader)))
        elif key == "function" and sign == "{":  # as OpenAI nests them
            yield from self._reader.expect("{")
            yield from self.entries()
        elif key in ARGUMENTS:
            yield from self._arguments(sign)
        elif sign == "{" and not self._is_begun and key in self._offered:  # {"NAME": {…}}
            self._begin(key)
            yield from self._arguments(sign)
        elif self._is_marked or self._is_begun or key in BESIDE:
            yield from read_value(self._reader, _ignore)
        else:  # an answer in JSON
            raise Broken

    def _begin(self, name: str) -> None:
        if self._is_begun or not name or not (self._is_marked or name in self._offered):
            raise Broken
        self._telling.begin(name)
        self._is_begun = True
        if self._early is not None:
            self._telling.argue(self._early)

    def _arguments(self, sign: str) -> Steps[None]:
        if self._has_arguments:
            raise Broken
        self._has_arguments = True
        if sign == "{" and self._is_begun:
            yield from read_value(self._reader, self._telling.argue)
            return
        text = _unwrapped((yield from read_whole(self._reader)))
        if self._is_begun:
            self._telling.argue(text)
        else:
            self._early = text


def _unwrapped(text: str) -> str:
    """Arguments as an object, also where they come as a text that holds one. Raises Broken."""
    value = loaded(text)
    if value is None:
        return "{}"
    if isinstance(value, str):
        text = value.strip() or "{}"
    if not is_object(text):
        raise Broken
    return sound(text)


def _ignore(_text: str) -> None:
    """Entries that say nothing here: ids, types."""


def _schema(tool: Tool, number: int, keys: tuple[str, str] | None) -> dict[str, Any]:
    parameters = parameters_of(tool, number)
    if keys is None:
        return object_of({tool.name: parameters})
    return object_of({keys[0]: {"const": tool.name}, keys[1]: parameters})
