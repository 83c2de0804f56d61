"""Of tools, calls and their results, whatever a template does not write itself, written into what people and models
say. What comes out is a chat that the template takes."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from backends.chat.format import Format
from backends.chat.formats.table import named
from backends.chat.ids import LETTERS, MISTRALS_LENGTH, short_id
from backends.chat.json_text import dumped
from backends.chat.reasoning import named as reasoning_named
from backends.llama.chat_format import ASSISTANT, SYSTEM, TOOL, USER, ChatFormat
from backends.llama.said import all_said, concat
from backends.messages import Message, Tool, ToolCall

SHORT_ID = re.compile(rf"[a-zA-Z0-9]{{{MISTRALS_LENGTH}}}")
EXAMPLE = ToolCall("", "NAME", '{"KEY": "VALUE"}')
OFFER = "You can call these functions. Each line is one of them, with a JSON schema of its arguments:\n"
HOW = "\nTo call one, or several, answer with nothing but this, and wait for what comes back:\n"
RESULT = ("<tool_response>\n", "\n</tool_response>")


def prepared(messages: Iterable[Message], tools: tuple[Tool, ...], form: ChatFormat) -> tuple[Message, ...]:
    format = named(form.tools.format)
    turns: Iterable[Message] = _named(messages)
    if format.new_id is short_id:
        turns = _with_short_ids(turns)
    turns = [_with_thoughts(turn, form) for turn in turns]
    if not form.tools.takes_calls:
        turns = [_with_written_calls(turn, format) for turn in turns]
    elif not form.tools.takes_several:
        turns = _one_by_one(list(turns))
    if not form.tools.takes_results:
        turns = _with_written_results(turns)
    if tools and not form.tools.takes_tools:
        turns = _with_offer(list(turns), tools, format)
    return tuple(turns)


def _named(turns: Iterable[Message]) -> Iterator[Message]:
    """Results say whose they are."""
    names: dict[str | None, str] = {}
    for turn in turns:
        names |= {call.id: call.name for call in turn.tool_calls}
        yield replace(turn, name=names.get(turn.tool_call_id)) if turn.role == TOOL and turn.name is None else turn


def _with_short_ids(turns: Iterable[Message]) -> Iterator[Message]:
    for turn in turns:
        calls = tuple(replace(call, id=_short(call.id)) for call in turn.tool_calls)
        id = turn.tool_call_id
        yield replace(turn, tool_calls=calls, tool_call_id=id if id is None else _short(id))


def _short(id: str) -> str:
    """The same one each time, so that a chat's beginning stays as it was."""
    if SHORT_ID.fullmatch(id):
        return id
    digest = hashlib.sha256(id.encode("utf-8", "surrogatepass")).digest()
    return "".join(LETTERS[byte % len(LETTERS)] for byte in digest[:MISTRALS_LENGTH])


def _with_thoughts(turn: Message, form: ChatFormat) -> Message:
    """In the content where the template looks for them there; left out where it would show them as an answer."""
    if turn.reasoning is None or form.reasoning.field is not None:
        return turn
    marks = reasoning_named(form.reasoning.name)
    if marks is None or not form.reasoning.in_content or turn.role != ASSISTANT:
        return replace(turn, reasoning=None)
    text = concat((marks.opener, "\n", all_said(turn.reasoning), "\n", marks.closer, "\n\n", all_said(turn.content)))
    return replace(turn, content=text, reasoning=None)


def _with_written_calls(turn: Message, format: Format) -> Message:
    if not turn.tool_calls:
        return turn
    text = format.syntax.write(turn.tool_calls)
    between = "\n" if turn.content else ""
    content = concat((all_said(turn.content), between, _with_own_marks(text, turn.tool_calls, format)))
    return replace(turn, content=content, tool_calls=())


def _with_own_marks(text: str, calls: Iterable[ToolCall], format: Format) -> str:
    """Said but for the format's marks; all of it, where the calls hold some themselves."""
    if any(mark in part for mark in format.texts for call in calls for part in (call.name, call.arguments)):
        return all_said(text)
    pattern = re.compile("|".join(re.escape(mark) for mark in format.texts) or "(?!)")
    pieces, at = list[str](), 0
    for found in pattern.finditer(text):
        pieces += [all_said(text[at : found.start()]), found[0]]
        at = found.end()
    return concat([*pieces, all_said(text[at:])])


def _one_by_one(turns: list[Message]) -> Iterator[Message]:
    """Each call in a turn of its own, with its result behind it."""
    at = 0
    while at < len(turns):
        turn, at = turns[at], at + 1
        if len(turn.tool_calls) < 2:
            yield turn
            continue
        end = next((end for end in range(at, len(turns)) if turns[end].role != TOOL), len(turns))
        results, at = turns[at:end], end
        for number, call in enumerate(turn.tool_calls):
            own = [result for result in results if result.tool_call_id == call.id] or results[number : number + 1]
            yield replace(turn, content="" if number else turn.content, tool_calls=(call,))
            yield from own[:1]
            results = [result for result in results if result not in own[:1]]
        yield from results


def _with_written_results(turns: Iterable[Message]) -> Iterator[Message]:
    """Results that follow each other are one turn of the person's."""
    pending: list[str] = []
    for turn in turns:
        if turn.role == TOOL:
            pending += ["\n" if pending else "", RESULT[0], all_said(turn.content), RESULT[1]]
            continue
        if pending:
            yield Message(USER, concat(pending))
            pending = []
        yield turn
    if pending:
        yield Message(USER, concat(pending))


def _with_offer(turns: list[Message], tools: tuple[Tool, ...], format: Format) -> list[Message]:
    """In the system text, behind what it says."""
    pieces: list[str] = [OFFER]
    for tool in tools:
        name, purpose = dumped(tool.name), dumped(tool.description)
        line = f'{{"name": {name}, "description": {purpose}, "parameters": {tool.parameters}}}\n'
        pieces.append(all_said(line))
    pieces += [HOW, format.syntax.write([EXAMPLE])]
    if turns and turns[0].role == SYSTEM and turns[0].content.strip():
        return [replace(turns[0], content=concat((all_said(turns[0].content), "\n\n", *pieces))), *turns[1:]]
    return [Message(SYSTEM, concat(pieces)), *(turns[1:] if turns and turns[0].role == SYSTEM else turns)]
