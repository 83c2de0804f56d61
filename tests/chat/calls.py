"""Tools, calls of them, and what a parser makes of a text."""

from collections.abc import Iterable, Iterator

from backends.chat.format import Format
from backends.chat.formats.table import FORMATS
from backends.chat.parser import ChatParser
from backends.chat.reasoning import Reasoning
from backends.chat.syntax import Syntax
from backends.chat.syntaxes.harmony import Harmony
from backends.messages import Tool, ToolCall
from backends.protocol.parts import Arguments, CallBegun, CallBroken, CallEnded, Markup, Part, Text, Thought

WEATHER = Tool(
    "get_weather",
    "Tells the weather.",
    '{"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},'
    ' "required": ["city"], "additionalProperties": false}',
)
NOTE = Tool(
    "take-note.2",
    "Keeps a note.",
    '{"type": "object", "properties": {"tags": {"type": "array", "items": {"type": "string"}},'
    ' "place": {"type": "object", "properties": {"x": {"type": "number"}}, "additionalProperties": false},'
    ' "is_urgent": {"type": "boolean"}}, "additionalProperties": false, "required": ["tags", "place", "is_urgent"]}',
)
TOOLS = (WEATHER, NOTE)
PLAIN = ToolCall("abc123def", "get_weather", '{"city": "Paris", "days": 3}')
NESTED = ToolCall("abc123deg", "take-note.2", '{"tags": ["a", "b"], "place": {"x": -1.5}, "is_urgent": true}')
ODD = ToolCall("abc123deh", "get_weather", '{"city": "Łódź \\"<b>\\"\\n{1: [2, \'3\']}, \\\\ 🙂"}')
EMPTY = ToolCall("abc123dei", "take-note.2", "{}")
CALLS = (PLAIN, NESTED, ODD, EMPTY)
SYNTAXES = [(format, syntax) for format in FORMATS for syntax in format.syntaxes]
IDS = [f"{format.name}-{number}" for format in FORMATS for number in range(len(format.syntaxes))]


def written(syntax: Syntax, calls: Iterable[ToolCall] = CALLS) -> str:
    """Names in Python have no points, and one in harmony ends its turn."""
    calls = tuple(calls)
    return syntax.write(calls[:1] if isinstance(syntax, Harmony) else calls)


def parse(
    format: Format | None,
    text: str,
    size: int | None = None,
    reasoning: Reasoning | None = None,
    is_thinking: bool = False,
    tools: Iterable[Tool] = TOOLS,
) -> list[Part]:
    """In pieces of so many characters, or at once; pieces of one kind joined, ids left out where nobody gave them."""
    numbers: Iterator[int] = iter(range(10**6))
    parser = ChatParser(format, reasoning, tools, is_thinking, new_id=lambda: f"new {next(numbers)}")
    size = size or len(text) or 1
    events = [event for at in range(0, len(text), size) for event in parser.feed(text[at : at + size])]
    return joined([*events, *parser.finish()])


def joined(events: Iterable[Part]) -> list[Part]:
    merged: list[Part] = []
    for event in events:
        match merged[-1] if merged else None, event:
            case (Text(a), Text(b)) | (Thought(a), Thought(b)) | (Markup(a), Markup(b)):
                merged[-1] = type(event)(a + b)
            case Arguments(i, a), Arguments(j, b) if i == j:
                merged[-1] = Arguments(i, a + b)
            case _:
                merged.append(event)
    return merged


def whole(events: Iterable[Part]) -> str:
    """The answer, rebuilt."""
    kept = (Text, Thought, Markup, CallEnded, CallBroken)
    return "".join(event.text for event in events if isinstance(event, kept))


def text_of(events: Iterable[Part]) -> str:
    return "".join(event.text for event in events if isinstance(event, Text | CallBroken))


def calls_of(events: Iterable[Part]) -> list[tuple[str, str]]:
    """Names and arguments of the calls that ended."""
    names: dict[int, str] = {}
    arguments: dict[int, str] = {}
    ended: list[int] = []
    for event in events:
        match event:
            case CallBegun(index, _, name):
                names[index] = name
            case Arguments(index, text):
                arguments[index] = arguments.get(index, "") + text
            case CallEnded(index):
                ended.append(index)
    return [(names[index], arguments[index]) for index in ended]
