"""Calls as a name between marks, and arguments as a JSON object behind it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from backends.chat.constraint import Constraint
from backends.chat.json_text import Tell, read_value
from backends.chat.pattern import ALONE, Pattern, first_word, read_head, read_literal, read_name, read_tail
from backends.chat.reader import Broken, Reader, Steps
from backends.chat.schemas import parameters_of, rooted
from backends.chat.syntax import Parsing
from backends.messages import Tool, ToolCall

ID, NUMBER = "/[a-zA-Z0-9]{9}/", "/[0-9]{1,2}/"
FULL_NAME = "functions."  # of Kimi, whose ids are `functions.NAME:NUMBER`


@dataclass(frozen=True, slots=True)
class Named:
    """call: with `{name}`, `{id}` or both, then `{arguments}`. around: what stands around all `{calls}` of a turn."""

    call: Pattern
    around: Pattern = ALONE
    between: str = ""

    @property
    def openers(self) -> tuple[str, ...]:
        return tuple(filter(None, (first_word(self.around.head), first_word(self.call.head))))

    @property
    def texts(self) -> tuple[str, ...]:
        return self.around.words() + self.call.words()

    @property
    def firsts(self) -> str:
        return ""

    def read(self, parsing: Parsing) -> Steps[None]:
        telling, reader = parsing.telling, parsing.reader
        telling.open_call()
        is_wrapped = yield from read_head(reader, self.around.head)
        yield from self._read_call(parsing)
        closing = first_word(self.around.tail)
        while is_wrapped and closing:
            yield from reader.skip_white()
            if not (yield from reader.peek()):
                return
            if (yield from reader.accept(closing)):
                yield from read_tail(reader, self.around.tail.lstrip().removeprefix(closing))
                return
            yield from self._read_call(parsing)

    def write(self, calls: Sequence[ToolCall]) -> str:
        texts = [
            self.call.write(name=call.name, id=self._id(call, number), arguments=call.arguments or "{}")
            for number, call in enumerate(calls)
        ]
        return self.around.write(calls=self.between.join(texts))

    def constrain(self, constraint: Constraint, tools: Iterable[Tool], is_parallel: bool) -> str:
        calls = " | ".join(f"({self._constrained(constraint, tool)})" for tool in tools)
        inner = constraint.several(constraint.rule(calls), self.between, is_parallel)
        return f"{constraint.literal(self.around.head)} {inner} {constraint.literal(self.around.tail)}"

    def _read_call(self, parsing: Parsing) -> Steps[None]:
        reader, telling = parsing.reader, parsing.telling
        pieces = self.call.pieces()
        name = id = None
        for literal, place in zip(pieces[::2], pieces[1::2], strict=False):
            yield from read_literal(reader, literal)
            if place == "arguments":
                break
            found = yield from read_name(reader)
            if not found:
                raise Broken
            name, id = (found, id) if place == "name" else (name, found)
        name = name or _name_in(id)
        telling.begin(name, id)
        yield from _read_arguments(reader, telling.argue)
        yield from read_tail(reader, self.call.tail)
        telling.end_call()

    def _id(self, call: ToolCall, number: int) -> str:
        is_own = "{name}" in self.call.text or _name_in(call.id) == call.name
        return call.id if is_own else f"{FULL_NAME}{call.name}:{number}"

    def _constrained(self, constraint: Constraint, tool: Tool) -> str:
        pieces = self.call.pieces()
        parts, text = list[str](), ""
        for literal, place in zip(pieces[::2], [*pieces[1::2], None], strict=True):
            text += literal
            if place == "name":
                text += tool.name
                continue
            is_full = place == "id" and "{name}" not in self.call.text
            parts.append(constraint.literal(text + (f"{FULL_NAME}{tool.name}:" if is_full else "")))
            text = ""
            if place == "id":
                parts.append(NUMBER if is_full else ID)
            elif place == "arguments":
                parts.append(constraint.json(rooted(parameters_of(tool), [tool])))
        return " ".join(parts)


def _read_arguments(reader: Reader, tell: Tell) -> Steps[None]:
    yield from reader.skip_white()
    if (yield from reader.peek()) != "{":
        raise Broken
    yield from read_value(reader, tell)


def _name_in(id: str | None) -> str:
    """Of `functions.NAME:NUMBER`."""
    return (id or "").removeprefix(FULL_NAME).rpartition(":")[0] or (id or "")
