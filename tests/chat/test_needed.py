"""Of an answer that must call, the calls that are whole are told, and none that its limit has cut."""

import json
from collections.abc import Iterable
from itertools import count
from typing import Any

import pytest

from backends.chat.answer_parser import AnswerParser
from backends.chat.formats.table import GENERIC
from backends.chat.needed import Needed
from backends.chat.parser import ChatParser
from backends.protocol import Finish, Tool
from backends.protocol.parts import Arguments, CallBegun, CallEnded, Part, Text

TOOLS = [Tool("weather", "", '{"type":"object"}')]


def call(city: str) -> str:
    return f'<tool_call>\n{{"name": "weather", "arguments": {json.dumps({"city": city})}}}\n</tool_call>'


def answer(
    text: str, finish: Finish, *, is_hurried: bool = False, is_needed: bool = True, size: int = 7
) -> tuple[list[Part], Finish]:
    ids = count()
    chat = ChatParser(GENERIC, None, TOOLS, new_id=lambda: f"call_{next(ids)}")
    parser = AnswerParser(chat, needed=Needed() if is_needed else None)
    parts = [part for at in range(0, len(text), size) for part in parser.feed(text[at : at + size])]
    rest, finish = parser.finish(finish, is_hurried)
    return [*parts, *rest], finish


def cities(parts: Iterable[Part]) -> list[Any]:
    """Of all calls that a client hears of, whether they have an end or not."""
    texts: dict[int, str] = {}
    for part in parts:
        if isinstance(part, CallBegun):
            texts[part.index] = ""
        if isinstance(part, Arguments):
            texts[part.index] += part.text
    return [json.loads(text)["city"] for text in texts.values()]


def written(parts: Iterable[Part]) -> str:
    return "".join(part.text for part in parts if not isinstance(part, CallBegun | Arguments))


def said(parts: Iterable[Part]) -> str:
    return "".join(part.text for part in parts if isinstance(part, Text))


BOTH = f"{call('Paris')}\n{call('London')}"


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_second_call_that_is_cut_is_left_out_wherever_it_is_cut(size: int) -> None:
    for end in range(len(call("Paris")), len(BOTH)):
        parts, finish = answer(BOTH[:end], Finish.LENGTH, size=size)
        assert cities(parts) in (["Paris"], ["Paris", "London"])
        assert (written(parts), said(parts), finish) == (BOTH[:end], "", Finish.STOP)


def test_of_a_first_call_that_is_cut_the_text_is_told_and_the_limit() -> None:
    cut = call("Paris")[:-30]
    parts, finish = answer(cut, Finish.LENGTH)
    assert not [part for part in parts if isinstance(part, CallEnded)]
    assert (written(parts), finish) == (cut, Finish.LENGTH)


@pytest.mark.parametrize("is_needed", [True, False])
def test_a_call_that_was_hurried_to_its_end_is_cut(is_needed: bool) -> None:
    """Its arguments are JSON, and not what was meant: whoever runs it must be told."""
    parts, finish = answer(call("Pa"), Finish.STOP, is_hurried=True, is_needed=is_needed)
    assert (cities(parts), finish) == (["Pa"], Finish.LENGTH)


def test_a_second_call_that_was_hurried_to_its_end_is_left_out() -> None:
    parts, finish = answer(f"{call('Paris')}\n{call('Lo')}", Finish.STOP, is_hurried=True)
    assert (cities(parts), said(parts), finish) == (["Paris"], "", Finish.STOP)


def test_calls_that_end_by_themselves_are_all_told() -> None:
    parts, finish = answer(BOTH, Finish.STOP)
    assert (cities(parts), written(parts), finish) == (["Paris", "London"], BOTH, Finish.STOP)


def test_a_text_that_was_hurried_is_as_it_was() -> None:
    """It is held by a schema of the client's own, which it fulfils."""
    parts, finish = answer('{"a": "b"}', Finish.STOP, is_hurried=True, is_needed=False)
    assert (said(parts), finish) == ('{"a": "b"}', Finish.STOP)


def test_the_first_call_is_told_while_it_is_written() -> None:
    parser = AnswerParser(ChatParser(GENERIC, None, TOOLS), needed=Needed())
    begun = call("Paris")[:-20]
    assert any(isinstance(part, Arguments) for part in parser.feed(begun))


@pytest.mark.parametrize("finish", [Finish.ABORT, Finish.STOP])
def test_an_answer_without_a_call_ends_as_it_does(finish: Finish) -> None:
    parts, ended = answer("No.", finish)
    assert (said(parts), ended) == ("No.", finish)
