"""Answers that are held to a grammar come to its end within their tokens, whatever the model would rather write."""

import json
import re
from typing import Any

import pytest

from backends.chat.demand import Demand
from backends.chat.formats.table import FORMATS, GENERIC
from backends.chat.narrowing import narrowed
from backends.llama.grammar import Matcher
from backends.protocol import Grammar, GrammarKind
from backends.protocol.tool_choice import Calling, ToolChoice
from tests.bench.random_schema import matches, random_schema
from tests.chat.calls import PLAIN, TOOLS
from tests.llama.long_winded import END, Words, held, written

TALK = [b"abc", b" the", b"999", b'{"', b'", "', b"{", b"[", b'"', b","]
RECORD = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "more": {"type": "object", "properties": {"id": {"type": "string", "format": "uuid"}}, "required": ["id"]},
        "points": {"type": "array", "items": {"type": "number"}},
    },
    "required": ["name", "points"],
}


def schema(value: Any) -> Grammar:
    return Grammar(GrammarKind.JSON_SCHEMA, json.dumps(value))


@pytest.mark.parametrize("budget", [26, 40, 80])
def test_an_answer_ends_before_its_tokens_do(budget: int) -> None:
    for seed in range(4):
        text, is_ended = written(schema(RECORD), budget, TALK, seed)
        assert is_ended, text
        assert matches(text, RECORD), text


def test_random_schemas_end() -> None:
    for seed in range(4):
        value = random_schema(seed)
        text, is_ended = written(schema(value), 400, TALK, seed)
        assert is_ended, text
        assert matches(text, value), text


def test_an_answer_that_cannot_end_runs_into_its_limit() -> None:
    text, is_ended = written(schema(RECORD), 12, TALK)
    assert not is_ended
    assert text.startswith("{")


def test_a_text_that_is_whole_needs_no_token_that_ends_it() -> None:
    assert written(schema({"const": "x"}), 3, []) == ('"x"', False)


@pytest.mark.parametrize("text", ["[a-z]{3,}-x", "(ab|cd)*e{4}", '"[^"]*"!'])
def test_other_grammars_end_too(text: str) -> None:
    said, is_ended = written(Grammar(GrammarKind.REGEX, text), 30, [b"abc", b"a", b"b"])
    assert is_ended, said
    assert re.fullmatch(text, said)


@pytest.mark.parametrize("format", FORMATS, ids=lambda format: format.name)
def test_a_required_call_ends(format: Any) -> None:
    marks = sorted({text for text in format.texts if text[0] in "<[" and text[-1] in ">]"}, key=len, reverse=True)
    words = Words(*marks)
    grammar = Demand(format).grammar(ToolChoice(Calling.REQUIRED), TOOLS, words.markers)
    assert grammar
    text, is_ended = written(grammar, 220, TALK, words=words)
    assert is_ended, text


@pytest.mark.parametrize("format", FORMATS, ids=lambda format: format.name)
def test_a_call_or_an_answer_of_a_schema_ends(format: Any) -> None:
    marks = sorted({text for text in format.texts if text[0] in "<[" and text[-1] in ">]"}, key=len, reverse=True)
    words = Words(*marks)
    grammar = Demand(format).grammar(ToolChoice(), TOOLS, words.markers, json.dumps(RECORD))
    assert grammar
    text, is_ended = written(grammar, 220, TALK, words=words)
    assert is_ended, text


CALL = GENERIC.syntax.write([PLAIN]).encode()


def begun(num_said: int, room: int) -> Matcher:
    """A call that is needed, of which so much is said. room: tokens that the answer has beyond those of the call."""
    grammar = Demand(GENERIC).grammar(ToolChoice(Calling.REQUIRED), TOOLS, {})
    assert grammar
    matcher = held(grammar, len(CALL) + room)
    assert all(map(matcher.take, CALL[:num_said]))
    return matcher


def test_a_whole_call_is_not_hurried_where_another_has_no_room_behind_it() -> None:
    """Red before: at 40 tokens SmolLM2's first call was told as cut, for it would have made a second."""
    matcher = begun(len(CALL), room=2)
    assert not any(matcher.take(int(token)) for token in matcher.allowed() if token != END)
    assert matcher.take(END)
    assert not matcher.is_hurried


def test_a_call_that_would_be_longer_than_its_room_is_hurried() -> None:
    matcher = begun(CALL.index(b"Paris"), room=0)
    while matcher.take(ord("x")):
        assert not matcher.is_hurried
    assert matcher.is_hurried


def test_blanks_do_not_run() -> None:
    """Red before: up to twenty between any two signs."""
    text, is_ended = written(schema(RECORD), 200, [b"    ", b"  ", b" ", b'"', b":"], seed=1)
    assert is_ended
    assert not re.search(r"(?<!\n)[ \t]{2,}", re.sub(r'"[^"]*"', '""', text).replace("\n ", "\n")), text


def test_a_line_that_was_begun_is_gone_on_with() -> None:
    wishes = [b"{", b'"', b"\n  ", b"\n"]
    one, _ = written(schema(RECORD), 200, wishes, seed=2)
    assert one.startswith('{"')
    assert "\n" not in one
    several, _ = written(schema(RECORD), 200, [b"{", b"\n  ", *wishes], seed=2)
    assert several.startswith("{\n")
    assert several.count("\n") > 1


@pytest.mark.parametrize("kind", ["integer", "number"])
def test_numbers_have_an_end(kind: str) -> None:
    for wishes in ([b"999", b"9"], [b"1", b".", b"000"], [b"9", b"e", b"999"]):
        text, is_ended = written(schema({"type": "array", "items": {"type": kind}, "minItems": 2}), 400, wishes)
        assert is_ended
        assert all(len(number) < 40 for number in re.findall(r"[0-9.e+-]+", text)), text
        assert all(abs(number) < float("inf") for number in json.loads(text)), text


def test_digits_in_a_text_are_no_number() -> None:
    text, _ = written(schema({"type": "string"}), 60, [b"999"])
    assert "9" * 24 in text


def test_objects_that_list_their_entries_have_no_others() -> None:
    text, _ = written(schema({"type": "object", "properties": {"a": {}}}), 60, [b'{"', b"abc"])
    assert json.loads(text).keys() <= {"a"}
    free = {"type": "object", "properties": {"a": {}}, "additionalProperties": {"type": "null"}}
    assert json.loads(written(schema(free), 60, [b'{"', b"abc"])[0]).keys() > {"a"} - {"a"}


PART: dict[str, Any] = {"type": "object", "properties": {"x": {}}}


@pytest.mark.parametrize(
    ("value", "is_closed"),
    [
        (PART, True),
        ({"properties": {"part": PART}}, True),
        ({"items": {"anyOf": [PART, {"type": "null"}]}}, True),
        ({"$ref": "#/$defs/Part", "$defs": {"Part": PART}}, True),
        ({"allOf": [PART, {"properties": {"y": {}}}]}, False),
        ({"allOf": [{"$ref": "#/$defs/Part"}, {"properties": {"y": {}}}], "$defs": {"Part": PART}}, False),
        ({"properties": {"y": {}}, "anyOf": [PART]}, False),
        ({**PART, "required": ["z"]}, False),
        ({**PART, "minProperties": 2}, False),
        ({**PART, "patternProperties": {"^y": {}}}, False),
        ({**PART, "additionalProperties": True}, False),
        ({"enum": [PART]}, False),
        ({"const": PART, "default": PART}, False),
    ],
    ids=str,
)
def test_only_what_nothing_else_speaks_of_is_closed(value: Any, is_closed: bool) -> None:
    assert ('"additionalProperties": false' in json.dumps(narrowed(value))) is is_closed
