"""A format is known by what a template writes, in it or about it."""

import pytest

from backends.chat.format import Format
from backends.chat.formats.table import FORMATS
from backends.chat.reasoning import REASONINGS, Reasoning
from backends.chat.recognition import CALLS, format_of_calls, format_of_offer, reasoning_of, turn_in

every_format = pytest.mark.parametrize("format", FORMATS, ids=lambda format: format.name)


@every_format
def test_a_format_is_known_by_its_calls(format: Format) -> None:
    calls = CALLS[:1] if format.name == "harmony" else CALLS
    written = format.syntax.write(calls)
    for text in (written, f"<think>\n\n</think>\n\n{written}<|im_end|>\n", f"\n{written}</s>"):
        found = format_of_calls(text, calls)
        assert found
        assert found.syntax.write(calls) == written  # generic writes as Hermes does
        if format.name in ("harmony", "llama", "llama-pythonic"):
            break  # nothing may come before


def test_what_holds_no_call_has_no_format() -> None:
    assert format_of_calls("qqtool was called with qqvalue", CALLS) is None
    assert format_of_calls("", CALLS) is None


def test_a_format_is_known_by_what_is_offered() -> None:
    found = format_of_offer("List of tools: <|tool_list_start|>[]<|tool_list_end|>")
    assert found
    assert found.name == "lfm2"
    assert format_of_offer("You have tools.") is None


@pytest.mark.parametrize("kind", REASONINGS, ids=lambda kind: kind.name)
def test_thoughts_are_known_by_what_stands_around_them(kind: Reasoning) -> None:
    found = reasoning_of(f"…\n{kind.opener}\nqqthoughts\n{kind.closer}\n\nqqanswer", "qqthoughts")
    assert found
    assert (found.opener, found.closer) == (kind.opener, kind.closer)
    assert reasoning_of("qqthoughts", "qqthoughts") is None
    assert reasoning_of(f"{kind.opener}{kind.closer}", "qqthoughts") is None


def test_a_turn_begins_with_a_whole_mark() -> None:
    assert turn_in("A:<tool_call>x", "A:<think>y") == "<tool_call>x"
    assert turn_in("A:<|START_ACTION|>", "A:<|START_TEXT|>") == "<|START_ACTION|>"
    assert turn_in("A:[TOOL_CALLS]", "A:qqanswer") == "[TOOL_CALLS]"
