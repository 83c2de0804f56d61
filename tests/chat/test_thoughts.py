"""What models think is told apart from what they answer."""

import pytest

from backends.chat.formats.table import FORMATS, named
from backends.chat.reasoning import REASONINGS, Reasoning
from backends.chat.reasoning import named as reasoning_named
from backends.protocol.parts import CallBegun, Markup, Text, Thought
from tests.chat.calls import PLAIN, calls_of, parse, text_of, whole

every_kind = pytest.mark.parametrize(
    "kind", [row for row in REASONINGS if row.name != "harmony"], ids=lambda row: row.name
)
THINK = reasoning_named("think")


def thoughts_of(events: list[object]) -> str:
    return "".join(event.text for event in events if isinstance(event, Thought))


@every_kind
def test_thoughts_are_told_apart(kind: Reasoning) -> None:
    text = f"{kind.opener}\nTwo and two.\nFour.\n{kind.closer}\n\nIt is 4.\n"
    events = parse(None, text, reasoning=kind)
    assert (thoughts_of(events), text_of(events), whole(events)) == ("Two and two.\nFour.", "It is 4.\n", text)
    assert parse(None, text, 1, reasoning=kind) == events


@every_kind
def test_thoughts_that_the_prompt_has_opened_need_no_opener(kind: Reasoning) -> None:
    prompt = f"<|assistant|>\n{kind.opener}\n"
    assert kind.is_open(prompt)
    assert not kind.is_open(f"{prompt}{kind.closer}\n\n")
    text = f"Two and two.{kind.closer}4"
    events = parse(None, text, 2, reasoning=kind, is_thinking=True)
    assert (thoughts_of(events), text_of(events), whole(events)) == ("Two and two.", "4", text)


@every_kind
def test_thoughts_that_never_end_are_thoughts(kind: Reasoning) -> None:
    text = f"{kind.opener}Two and " + kind.closer[:-1]
    events = parse(None, text, 1, reasoning=kind)
    assert (text_of(events), whole(events)) == ("", text)


@every_kind
def test_thoughts_that_are_ended_for_the_model_end(kind: Reasoning) -> None:
    events = parse(None, f"{kind.opener}Two and{kind.ending}4", reasoning=kind)
    assert (thoughts_of(events), text_of(events)) == ("Two and", "4")


def test_a_tag_within_a_text_is_text() -> None:
    text = "Models write <think> and </think> around their thoughts."
    assert parse(None, text, 1, reasoning=THINK) == [Text(text)]


def test_a_beginning_that_is_continued_may_have_left_them_open() -> None:
    assert THINK
    assert THINK.is_left_open("<think>\nTwo and")
    assert not THINK.is_left_open("<think>\nTwo</think>\n\n4")
    assert not THINK.is_left_open("4")


@pytest.mark.parametrize("format", FORMATS, ids=lambda format: format.name)
def test_calls_come_behind_thoughts(format: object) -> None:
    if format.name == "harmony":  # type: ignore[attr-defined]
        pytest.skip("it has channels")
    text = "<think>\nI need a call.\n</think>\n\n" + format.syntax.write([PLAIN])  # type: ignore[attr-defined]
    events = parse(format, text, 3, reasoning=THINK)  # type: ignore[arg-type]
    assert thoughts_of(events) == "I need a call."
    assert len(calls_of(events)) == 1
    assert (text_of(events), whole(events)) == ("", text)


HARMONY = (
    "<|channel|>analysis<|message|>The user asks.<|end|><|start|>assistant<|channel|>commentary<|message|>I shall look."
    "<|end|><|start|>assistant<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>"
    '{"city": "Rome"}<|call|>'
)


@pytest.mark.parametrize("size", [1, 5, None])
def test_channels_of_gpt_oss(size: int | None) -> None:
    events = parse(named("harmony"), HARMONY, size)
    assert thoughts_of(events) == "The user asks."
    assert text_of(events) == "I shall look."
    assert calls_of(events) == [("get_weather", '{"city": "Rome"}')]
    assert whole(events) == HARMONY
    final = "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Rome.\n"
    events = parse(None, final, size, reasoning=reasoning_named("harmony"))
    assert (thoughts_of(events), text_of(events), whole(events)) == ("Hm.", "Rome.\n", final)


def test_a_recipient_may_stand_before_the_channel() -> None:
    text = ' to=functions.get_weather<|channel|>commentary json<|message|>{"city": "Rome"}'
    assert calls_of(parse(named("harmony"), text, 4)) == [("get_weather", '{"city": "Rome"}')]


def test_an_answer_of_command_has_marks_around() -> None:
    text = "<|START_THINKING|>Hm.<|END_THINKING|><|START_RESPONSE|>Rome.<|END_RESPONSE|>"
    events = parse(named("command"), text, 3, reasoning=reasoning_named("command"))
    assert (thoughts_of(events), text_of(events), whole(events)) == ("Hm.", "Rome.", text)
    text = "<|START_THINKING|>Hm.<|END_THINKING|>" + named("command").syntax.write([PLAIN])
    events = parse(named("command"), text, 3, reasoning=reasoning_named("command"))
    assert any(isinstance(event, CallBegun) for event in events)
    assert isinstance(events[0], Markup)
