"""Every format reads what it writes, however it is cut, and loses nothing of what it cannot read."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.chat.format import Format
from backends.chat.formats.table import FORMATS, GENERIC, named
from backends.chat.syntax import Syntax
from backends.chat.syntaxes.harmony import Harmony
from backends.messages import ToolCall
from backends.protocol.parts import Arguments, CallBegun, CallBroken, CallEnded, Text
from tests.chat.calls import (
    CALLS,
    IDS,
    NESTED,
    ODD,
    PLAIN,
    SYNTAXES,
    calls_of,
    parse,
    text_of,
    whole,
    written,
)

every_syntax = pytest.mark.parametrize(("format", "syntax"), SYNTAXES, ids=IDS)
every_format = pytest.mark.parametrize("format", FORMATS, ids=lambda format: format.name)


@every_syntax
def test_what_is_written_is_read_again(format: Format, syntax: Syntax) -> None:
    text = written(syntax)
    events = parse(format, text)
    calls = CALLS[:1] if isinstance(syntax, Harmony) else CALLS
    assert [(name, json.loads(arguments)) for name, arguments in calls_of(events)] == [
        (call.name, json.loads(call.arguments)) for call in calls
    ]
    assert text_of(events) == ""
    assert whole(events) == text


@every_syntax
def test_character_by_character_is_as_at_once(format: Format, syntax: Syntax) -> None:
    text = written(syntax) + "\n\nAnd more <of> [it]. "
    at_once = parse(format, text)
    for size in (1, 2, 3, 7):
        assert parse(format, text, size) == at_once


@every_syntax
def test_arguments_come_while_they_are_written(format: Format, syntax: Syntax) -> None:
    text = written(syntax, [ODD])
    begin = text.index("Łódź") + 2
    events = parse(format, text[:begin])
    assert any(isinstance(event, CallBegun) and event.name == ODD.name for event in events)


@every_syntax
def test_a_call_that_is_cut_off_comes_back_as_text(format: Format, syntax: Syntax) -> None:
    text = written(syntax, [NESTED])
    for end in range(len(text)):
        events = parse(format, text[:end])
        assert whole(events) == text[:end]
        is_whole = any(isinstance(event, CallEnded) for event in events)
        assert is_whole or text_of(events).strip() == text[:end].strip() or isinstance(syntax, Harmony)
        if is_whole:  # only closing marks may be missing
            assert json.loads(calls_of(events)[0][1]) == json.loads(NESTED.arguments)


@every_syntax
def test_a_call_that_breaks_comes_back_as_text(format: Format, syntax: Syntax) -> None:
    good = written(syntax, [PLAIN])
    at = good.index("Paris") + len("Paris")
    bad = good[:at] + good[at:].replace("3", "3 } ] ) >>", 1)
    events = parse(format, bad)
    assert whole(events) == bad
    if not any(isinstance(event, CallEnded) for event in events):
        assert any(isinstance(event, CallBroken) for event in events)


@every_format
def test_text_before_a_call_is_text(format: Format) -> None:
    syntax = format.syntax
    if not syntax.openers:
        pytest.skip("its calls stand alone")
    events = parse(format, "I shall look.\n" + syntax.write([PLAIN]))
    assert text_of(events) == "I shall look."
    assert len(calls_of(events)) == 1


@every_format
@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "Hello, world!\n",
        "<b>bold</b> and `[1, 2]` {x} < > | [",
        "{not json",
        '{"answer": "in JSON", "list": [1, 2]}',
        "[1, 2, 3]",
        "  \n Text with blanks around  \n",
        "<|",
        "<tool",
    ],
)
def test_what_is_no_call_stays_text(format: Format, text: str) -> None:
    events = parse(format, text)
    assert text_of(events) == text
    assert parse(format, text, 1) == events


def _marks() -> list[str]:
    """Pieces of all formats, whole and broken, to be put together at random."""
    pieces = [*"{}[](),\"'=: \n1\\ał", "get_weather", '{"city": "x"}', "<think>", "</think>", "{}", "\\u00", "null"]
    pieces += ['{"name": "get_weather", "arguments": {', '"days": 3']
    for _, syntax in SYNTAXES:
        text = written(syntax, [PLAIN])
        third = len(text) // 3
        pieces += [*syntax.openers, text[:third], text[third : 2 * third], text[2 * third :]]
    return sorted(set(pieces))


@every_format
@settings(max_examples=25, deadline=None, derandomize=True)
@given(pieces=st.lists(st.sampled_from(_marks()), max_size=14), size=st.integers(1, 9))
def test_nothing_is_lost_of_anything(format: Format, pieces: list[str], size: int) -> None:
    text = "".join(pieces)
    events = parse(format, text)
    assert whole(events) == text
    assert parse(format, text, size) == events
    begun = [event.index for event in events if isinstance(event, CallBegun)]
    ended = [event.index for event in events if isinstance(event, CallEnded | CallBroken)]
    assert begun == ended == list(range(len(begun)))
    for _, arguments in calls_of(events):
        assert isinstance(json.loads(arguments), dict)


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)


@every_syntax
@settings(max_examples=15, deadline=None, derandomize=True)
@given(city=TEXTS, days=st.integers())
def test_any_text_survives_as_an_argument(format: Format, syntax: Syntax, city: str, days: int) -> None:
    call = ToolCall("abc123def", "get_weather", json.dumps({"city": city, "days": days}))
    text = syntax.write([call])
    events = parse(format, text, 3)
    assert [json.loads(arguments) for _, arguments in calls_of(events)] == [{"city": city, "days": days}]


def test_calls_of_a_turn_have_ids_of_their_own() -> None:
    events = parse(named("hermes"), written(named("hermes").syntax))
    ids = [event.id for event in events if isinstance(event, CallBegun)]
    assert len(set(ids)) == len(CALLS)
    assert len(named("mistral").new_id()) == 9


def test_ids_that_the_model_writes_are_kept() -> None:
    events = parse(named("mistral-id"), "[TOOL_CALLS]get_weather[CALL_ID]abcdefghi[ARGS]{}")
    assert events[0] == CallBegun(0, "abcdefghi", "get_weather")
    events = parse(named("kimi-k2"), named("kimi-k2").syntax.write([PLAIN]))
    assert events[0] == CallBegun(0, "functions.get_weather:0", "get_weather")


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ('{"arguments": {"city": "Rome"}, "name": "get_weather"}', {"city": "Rome"}),
        ('{"name": "get_weather", "arguments": "{\\"city\\": \\"Rome\\"}"}', {"city": "Rome"}),
        ('{"name": "get_weather"}', {}),
        ('{"name": "get_weather", "arguments": null}', {}),
        ('{"type": "function", "function": {"name": "get_weather", "arguments": {"days": 1}}}', {"days": 1}),
        ('{"function": "get_weather", "parameters": {"days": 1}}', {"days": 1}),
        ('{"name": "get_weather", "arguments": {"city": "two\nlines"}}', {"city": "two\nlines"}),
    ],
)
def test_objects_are_read_as_models_bend_them(text: str, arguments: object) -> None:
    events = parse(GENERIC, f"<tool_call>\n{text}\n</tool_call>")
    assert [(name, json.loads(given)) for name, given in calls_of(events)] == [("get_weather", arguments)]
    assert calls_of(parse(named("llama"), text)) == calls_of(events)


def test_an_object_without_marks_is_a_call_only_of_a_tool_that_was_offered() -> None:
    text = '{"name": "Ada", "parameters": {"age": 36}}'
    events = parse(named("llama"), text)
    assert events == [Text(text)]


def test_values_between_tags_have_the_kinds_of_the_schema() -> None:
    text = (
        '<tool_call>\n<function=take-note.2>\n<parameter=tags>\n["a"]\n</parameter>\n'
        "<parameter=is_urgent>\nTrue\n</parameter>\n<parameter=unknown>\n007\n</parameter>\n</function>\n</tool_call>"
    )
    events = parse(named("qwen-xml"), text)
    assert json.loads(calls_of(events)[0][1]) == {"tags": ["a"], "is_urgent": True, "unknown": "007"}
    text = "<tool_call>\n<function=get_weather>\n<parameter=city>\n\n12\n\n</parameter>\n</function>\n</tool_call>"
    assert json.loads(calls_of(parse(named("qwen-xml"), text))[0][1]) == {"city": "\n12\n"}


def test_text_of_a_string_between_tags_is_told_before_it_ends() -> None:
    text = "<tool_call>\n<function=get_weather>\n<parameter=city>\nLong ago"
    events = parse(named("qwen-xml"), text)
    assert [event.text for event in events if isinstance(event, Arguments)] == ['{"city": "Long ago']


def test_a_backslash_that_escapes_nothing_is_one() -> None:
    text = r"<|tool_call_start|>[get_weather(city='a \ b\d')]<|tool_call_end|>"
    assert json.loads(calls_of(parse(named("lfm2"), text))[0][1]) == {"city": r"a \ b\d"}


def test_a_value_that_holds_marks_may_be_quoted() -> None:
    syntax = named("minicpm-5").syntax
    call = ToolCall("", "get_weather", '{"city": "</param><b>"}')
    assert json.loads(calls_of(parse(named("minicpm-5"), syntax.write([call]), 1))[0][1]) == {"city": "</param><b>"}


HALVES = {
    "a half": ("\\ud83d", "\ufffd"),
    "the other half": ("\\ude42", "\ufffd"),
    "in the wrong order": ("\\ude42\\ud83d", "\ufffd\ufffd"),
    "one too many": ("\\ud83d\\ud83d\\ude42", "\ufffd🙂"),
    "another escape behind it": ("\\ud83d\\n", "\ufffd\n"),
    "a letter behind it": ("\\ud83d\\u0041", "\ufffdA"),
    "a pair": ("\\ud83d\\ude42", "🙂"),
}
IN_WRITINGS = {
    "generic": '<tool_call>{{"name": "get_weather", "arguments": {{"city": {}}}}}</tool_call>',
    "llama-pythonic": "[get_weather(city={})]",
}


@pytest.mark.parametrize(("escaped", "said"), HALVES.values(), ids=list(HALVES))
@pytest.mark.parametrize("writing", IN_WRITINGS.values(), ids=list(IN_WRITINGS))
def test_half_a_character_in_a_call_is_replaced(writing: str, escaped: str, said: str) -> None:
    format = next(each for each in FORMATS if calls_of(parse(each, writing.format('"x"'))))
    text = writing.format(f'"{escaped}"')
    for size in (1, 2, 5, len(text)):
        ((_, arguments),) = calls_of(parse(format, text, size))
        assert json.loads(arguments) == {"city": said}
        arguments.encode()


def test_half_a_character_in_arguments_within_a_string_is_replaced() -> None:
    text = r'<tool_call>{"name": "get_weather", "arguments": "{\"city\": \"\\ud83d\"}"}</tool_call>'
    ((_, arguments),) = calls_of(parse(GENERIC, text))
    assert json.loads(arguments) == {"city": "\ufffd"}


@pytest.mark.parametrize("writing", IN_WRITINGS.values(), ids=list(IN_WRITINGS))
def test_a_number_that_nothing_holds_breaks_its_call(writing: str) -> None:
    format = next(each for each in FORMATS if calls_of(parse(each, writing.format('"x"'))))
    text = writing.format("1e999")
    assert not calls_of(parse(format, text))
    assert whole(parse(format, text)) == text


NO_OBJECTS = ("", "null", "[1, 2]", "3", "no json", '"x"', '{"a": NaN}', '{"a": ' + "9" * 5000)


@every_format
def test_arguments_that_are_no_object_are_written_all_the_same(format: Format) -> None:
    """Twelve formats failed: earlier calls are what a program sends back, cut or made up."""
    for arguments in NO_OBJECTS:
        assert "add" in format.syntax.write([ToolCall("abc123def", "add", arguments)])
