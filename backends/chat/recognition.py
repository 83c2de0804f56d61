"""Tells from what a template writes which format it is written in: the one whose parser finds in it what was given."""

import json
import re
from collections.abc import Iterable, Sequence

from backends.chat.format import Format
from backends.chat.formats.table import FORMATS
from backends.chat.parser import ChatParser
from backends.chat.reasoning import REASONINGS, Reasoning
from backends.messages import Tool, ToolCall
from backends.protocol.parts import Arguments, CallBegun, CallEnded

TOOLS = (
    Tool(
        "qqtool",
        "qqpurpose",
        '{"type": "object", "properties": {"qqtext": {"type": "string"}, "qqcount": {"type": "integer"}},'
        ' "required": ["qqtext"]}',
    ),
    Tool(
        "qqother",
        "qqother purpose",
        '{"type": "object", "properties": {"qqlist": {"type": "array", "items": {"type": "integer"}}},'
        ' "required": ["qqlist"]}',
    ),
)
CALLS = (
    ToolCall("qqid00001", "qqtool", '{"qqtext": "qqvalue", "qqcount": 7}'),
    ToolCall("qqid00002", "qqother", '{"qqlist": [1, 2]}'),
)
MARKED = 5  # characters by which the beginning of calls is found
OPEN_MARK = re.compile(r"[<\[]\|?[^<>\[\]\s]*$")


def format_of_calls(text: str, calls: Sequence[ToolCall]) -> Format | None:
    """text: what a template has made of the calls. Where formats differ in how they write alone, the one that writes
    as the template does."""
    readers = [format for format in FORMATS if calls_in(format, text) == _plain(calls)]
    return max(readers, key=lambda format: _likeness(format.syntax.write(calls), text), default=None)


def format_of_offer(text: str) -> Format | None:
    """text: what a template writes where tools are offered."""
    return next((format for format in FORMATS if any(offer in text for offer in format.offers)), None)


def reasoning_of(text: str, thoughts: str) -> Reasoning | None:
    """text: with the thoughts in it."""
    before, found, behind = text.partition(thoughts)
    if not found:
        return None
    before, behind = before.rstrip(), behind.lstrip()
    return next((row for row in REASONINGS if before.endswith(row.opener) and behind.startswith(row.closer)), None)


def reasoning_named_in(text: str) -> Reasoning | None:
    """text: all that the template writes by itself."""
    return next((row for row in REASONINGS if row.opener in text and row.closer in text), None)


def turn_in(with_calls: str, without: str) -> str:
    """Of two chats that differ in their last turn alone, that turn of the first. A mark in which both begin alike is
    not cut in two."""
    num_shared = _num_shared(with_calls, without)
    head = with_calls[:num_shared]
    if mark := OPEN_MARK.search(head):
        num_shared = mark.start()
    return with_calls[num_shared:]


def calls_in(format: Format, text: str) -> list[tuple[str, object]]:
    """Names and arguments."""
    parser = ChatParser(format, None, TOOLS)
    names: dict[int, str] = {}
    arguments: dict[int, str] = {}
    whole: list[int] = []
    for event in (*parser.feed(text), *parser.finish()):
        match event:
            case CallBegun(index, _, name):
                names[index] = name
            case Arguments(index, piece):
                arguments[index] = arguments.get(index, "") + piece
            case CallEnded(index):
                whole.append(index)
    return [(names[index], json.loads(arguments[index])) for index in whole]


def _likeness(written: str, text: str) -> tuple[float, float, int]:
    """How much of it stands there from where the calls begin, without white space and with it."""
    return _share("".join(written.split()), "".join(text.split())), _share(written, text), len(written)


def _share(written: str, text: str) -> float:
    text = text[max(0, text.find(written[:MARKED])) :]
    return _num_shared(written, text) / len(written)


def _num_shared(one: str, other: str) -> int:
    """Characters in which they begin alike."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def _plain(calls: Iterable[ToolCall]) -> list[tuple[str, object]]:
    return [(call.name, json.loads(call.arguments)) for call in calls]
