"""Thoughts and calls are told apart from what is for the person, where that was asked for."""

import json
from pathlib import Path

import pytest

from backends.chat.answer_parser import AnswerParser
from backends.chat.parser import ChatParser
from backends.chat.reasoning import named
from backends.engine.answers import Answers
from backends.engine.news import Begun, Ended, Said, Stepped
from backends.engine.sequence import Sequence
from backends.engine.stops import NO_STOPS
from backends.fake.loader import FakeModel
from backends.messages import Message, Tool
from backends.protocol import DraftMode, EngineOptions, Finish, Generate, Load, Output, Timings
from backends.protocol.parts import Arguments, CallBegun, CallEnded, Markup, Part, Text, Thought
from tests.engine.saying import Saying

TOOL = Tool("get_weather")
CALL = '<tool_call>{"name": "get_weather", "arguments": {"city": "Rome"}}</tool_call>'
EOS = 0
THINK, DONE = 1, 2  # control tokens
PIECES = {EOS: b"", THINK: b"", DONE: b"", 3: b"Hm", 4: b".", 5: b" Four"}


def said_by_fake(question: str, **fields: object) -> list[Output]:
    options = EngineOptions(context=1024, draft=DraftMode.OFF)
    model = FakeModel(Load(Path("fake"), "fake", options), 0.0)
    saying = Saying(model, options)
    request = Generate((Message("user", question),), 1, **fields)  # type: ignore[arg-type]
    tokens = model.encode(request)
    parser = model.parser(request, tokens) if request.is_parsed else None
    saying.engine.add(Sequence.of(request, tokens, 1024, model.eos), NO_STOPS, parser)
    outputs: list[Output] = []
    while not (outputs and outputs[-1].finish):
        outputs += [output for output in saying.step() if isinstance(output, Output)]
    saying.engine.close()
    model.close()
    return outputs


def test_a_call_in_an_answer_is_no_text() -> None:
    outputs = said_by_fake(CALL, tools=(TOOL,), is_parsed=True)
    parts = [part for output in outputs for part in output.all_parts]
    assert [part.name for part in parts if isinstance(part, CallBegun)] == ["get_weather"]
    assert json.loads("".join(part.text for part in parts if isinstance(part, Arguments))) == {"city": "Rome"}
    assert [part.text for part in parts if isinstance(part, CallEnded)] == [CALL.removesuffix("</tool_call>")]
    text = "".join(output.text for output in outputs)
    assert "tool_call" not in text
    assert text == "".join(part.text for part in parts if isinstance(part, Text))


@pytest.mark.parametrize("fields", [{}, {"tools": (TOOL,)}, {"is_parsed": True}])
def test_an_answer_is_as_it_was_where_nothing_is_asked_for(fields: dict[str, object]) -> None:
    outputs = said_by_fake(CALL, **fields)
    assert CALL in "".join(output.text for output in outputs)
    assert not any(isinstance(part, CallBegun) for output in outputs for part in output.parts)


def answered(tokens: list[int], finish: Finish | None) -> list[Part]:
    """All parts of an answer whose tokens come one a step, and then its end."""
    answers = Answers(PIECES.__getitem__, lambda _: None)
    parser = AnswerParser(ChatParser(None, named("think")), {THINK: b"<think>", DONE: b"</think>"})
    answers.begin(Begun(7, frozenset((EOS,)), NO_STOPS, parser))
    parts: list[Part] = []
    for at, token in enumerate(tokens):
        said = Said(7, [token], 0, 0, None, [], None if at else Timings())
        for output in answers.say(Stepped([said], 1, 0, 0.0, 0.0, 0.0)):
            parts += output.all_parts
    for output in answers.end(Ended(7, finish or Finish.STOP, Timings())):
        parts += output.all_parts
    return parts


def test_control_tokens_tell_thoughts_apart_and_are_not_shown() -> None:
    parts = answered([THINK, 3, 4, DONE, 5], Finish.STOP)
    assert parts == [Markup("<think>"), Thought("Hm"), Thought("."), Markup("</think>"), Markup(" "), Text("Four")]


def test_an_answer_that_is_called_off_loses_nothing() -> None:
    assert answered([THINK, 3], Finish.ABORT) == [Markup("<think>"), Thought("Hm")]
