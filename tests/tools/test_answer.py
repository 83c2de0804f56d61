"""An answer with tools, from the first word to the last: asked for, run, fed back, stopped, and always ended."""

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from app.errors import EngineError
from app.inference.supervisor import Supervisor
from app.tools.answer import MAX_CALLS, NO_CHAT, NOT_MADE_FOR_TOOLS, ToolAnswer
from app.tools.calculator import Calculator
from app.tools.events import Decision, Ended, Event, Noted, Proposed, Returned, Said, Started
from app.tools.servers import Permission
from app.tools.tool import LEAST_TEXT, Outcome, Tool
from app.tools.toolbox import Toolbox
from backends.protocol import (
    AS_IT_LIKES,
    Arguments,
    CallBegun,
    CallBroken,
    CallEnded,
    Calling,
    EngineOptions,
    Failed,
    FailureKind,
    Finish,
    Generate,
    Message,
    Output,
    Part,
    Ready,
    Text,
    Thought,
    ToolChoice,
)
from tests.patience import PATIENCE
from tests.tools.conftest import Rules

QUESTION = Generate((Message("user", "What is 6 times 7?"),))
READY = Ready(
    "m", "llama", 1, 1, 4096, 4096, 1, 1, 0, "CPU", 1, "f16", "f16", "off", "off", "b", 0.0, True, takes_tools=True
)
Turns = tuple[tuple[Part, ...] | Failed, ...]


def call(name: str, arguments: str, index: int = 0, id: str = "c1") -> tuple[Part, ...]:
    return CallBegun(index, id, name), Arguments(index, arguments), CallEnded(index, "as written")


MULTIPLY = call("calculator", '{"expression": "6 * 7"}')


@dataclass
class Scripted:
    """An engine that says one turn after the other, and the last one again. It waits in one that is empty."""

    turns: Turns
    asked: list[Generate] = field(default_factory=list)
    sinks: dict[int, Callable[[Any], None]] = field(default_factory=dict)
    has_begun: threading.Event = field(default_factory=threading.Event)

    def submit(self, request: Generate, sink: Callable[[Any], None]) -> int:
        uid = len(self.asked)
        self.asked.append(request)
        turn = self.turns[min(uid, len(self.turns) - 1)]
        if isinstance(turn, Failed):
            sink(Failed(uid, turn.kind, turn.message))
        elif turn:
            sink(Output(uid, "", 1, parts=turn))
            sink(Output(uid, "", 0, Finish.STOP))
        self.sinks[uid] = sink
        self.has_begun.set()
        return uid

    def abort(self, uid: int) -> None:
        self.sinks[uid](Output(uid, "", 0, Finish.ABORT))


class Slow:
    """A tool that answers when a test likes."""

    name, description, parameters = "slow", "Waits.", "{}"

    def __init__(self) -> None:
        self.future: Future[Outcome] = Future()
        self.arguments: Mapping[str, Any] | None = None

    def start(self, arguments: Mapping[str, Any]) -> "Future[Outcome]":
        self.arguments = arguments
        return self.future


class Person:
    """Hears an answer to its end, and decides as told."""

    def __init__(self, decision: Decision | None = Decision.ONCE):
        self._decision = decision
        self._events: SimpleQueue[Event] = SimpleQueue()
        self.heard: list[Event] = []
        self.rules = Rules()
        self.answer: ToolAnswer

    def ask(
        self, engine: Any, *tools: Tool, ready: Ready = READY, request: Generate = QUESTION, **options: Any
    ) -> None:
        toolbox = Toolbox(self.rules, lambda _: {}, own=tools or (Calculator(),))
        self.answer = ToolAnswer(engine, ready, toolbox, self._events.put, **options)
        self.answer.begin(request)

    def hear(self, kind: type[Event] | None = None) -> Event:
        """The next event, of a kind or any."""
        while True:
            event = self._events.get(timeout=PATIENCE)
            self.heard.append(event)
            if isinstance(event, Proposed) and event.needs_decision and self._decision:
                self.answer.decide(event.call.id, self._decision)
            if kind is None or isinstance(event, kind):
                return event

    def listen(self) -> Ended:
        ended = self.hear(Ended)
        assert isinstance(ended, Ended)
        assert self.answer.wait(PATIENCE)
        return ended

    def all(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.heard if isinstance(event, kind)]


def test_a_call_is_asked_for_run_and_answered() -> None:
    person, engine = Person(), Scripted(((Thought("Hm."), Text("Let me see."), *MULTIPLY), (Text("It is 42."),)))
    person.ask(engine)
    asked, result, answer = person.listen().messages
    assert (asked.content, asked.reasoning, asked.tool_calls[0].name) == ("Let me see.", "Hm.", "calculator")
    assert (result.role, result.content, result.tool_call_id, result.name) == ("tool", "42", "c1", "calculator")
    assert (answer.role, answer.content) == ("assistant", "It is 42.")
    assert [tool.name for tool in engine.asked[0].tools] == ["calculator"]
    assert engine.asked[1].prompt == (*QUESTION.prompt, asked, result)
    assert [type(event).__name__ for event in person.heard] == [
        *("Said", "Said", "Proposed", "Started", "Returned", "Said", "Said", "Ended"),
    ]
    assert [said.round for said in person.all(Said)] == [0, 0, 1, 1]


def test_nothing_runs_before_the_person_has_decided() -> None:
    person, slow = Person(decision=None), Slow()
    person.ask(Scripted((call("slow", "{}"), (Text("Done."),))), slow)
    proposed = person.hear(Proposed)
    assert isinstance(proposed, Proposed)
    assert proposed.needs_decision
    assert slow.arguments is None
    person.answer.decide("another call", Decision.ONCE)
    slow.future.set_result(Outcome("waited"))
    person.answer.decide(proposed.call.id, Decision.ONCE)
    assert person.listen().messages[1].content == "waited"
    assert slow.arguments == {}


def test_a_denied_call_is_told_to_the_model_and_does_not_run() -> None:
    person, slow = Person(Decision.DENY), Slow()
    person.ask(Scripted((call("slow", "{}"), (Text("Then not."),))), slow)
    ended = person.listen()
    assert ended.messages[1].content == "The person did not allow this call."
    assert ended.messages[2].content == "Then not."
    assert slow.arguments is None
    assert not person.all(Started)


def test_always_is_asked_once_and_remembered() -> None:
    person = Person(Decision.ALWAYS)
    person.ask(Scripted((MULTIPLY, MULTIPLY, (Text("42, and again 42."),))))
    assert person.listen().finish is Finish.STOP
    assert [proposed.needs_decision for proposed in person.all(Proposed)] == [True, False]
    (grant,) = person.rules.grants
    assert (grant.server, grant.tool, grant.permission) == ("Slipstream", "calculator", Permission.ALWAYS)


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (call("nope", "{}"), "There is no tool “nope”. There are: calculator."),
        (call("calculator", "[1]"), "The arguments are no JSON object. Call it again with one."),
        (call("calculator", "{"), "The arguments are no JSON object. Call it again with one."),
        (call("calculator", '{"expression": "1/0"}'), "That divides by zero."),
    ],
)
def test_a_call_that_cannot_be_run_is_told_to_the_model(wanted: tuple[Part, ...], told: str) -> None:
    person = Person()
    person.ask(Scripted((wanted, (Text("Sorry."),))))
    assert person.listen().messages[1].content == told
    (returned,) = person.all(Returned)
    assert returned.outcome.is_error


def test_a_broken_call_is_text() -> None:
    person = Person()
    person.ask(Scripted(((Text("See: "), CallBegun(0, "c1", "calculator"), CallBroken(0, '<tool_call>{"na')),)))
    (message,) = person.listen().messages
    assert (message.content, message.tool_calls) == ('See: <tool_call>{"na', ())


def test_several_calls_of_one_turn_have_their_results_in_order() -> None:
    sum, product = (
        call("calculator", '{"expression": "6 + 7"}', 0, "a"),
        call("calculator", '{"expression": "6*7"}', 1, "b"),
    )
    person = Person()
    person.ask(Scripted(((*sum, *product), (Text("13 and 42."),))))
    assert [(m.tool_call_id, m.content) for m in person.listen().messages[1:3]] == [("a", "13"), ("b", "42")]


def test_a_turn_with_calls_without_end_has_the_first_ones_run() -> None:
    many = tuple(part for n in range(MAX_CALLS + 2) for part in call("calculator", '{"expression": "1"}', n, f"c{n}"))
    person = Person()
    person.ask(Scripted((many, (Text("Ones."),))))
    assert [m.content for m in person.listen().messages[1:-1]].count("1") == MAX_CALLS


def test_after_the_last_round_the_model_has_to_answer() -> None:
    person, engine = Person(), Scripted((MULTIPLY,))
    person.ask(engine, rounds=3)
    assert person.listen().finish is Finish.STOP
    assert len(engine.asked) == 4
    assert engine.asked[-1].tool_choice.calling is Calling.NONE
    assert "3 rounds" in person.all(Noted)[0].sentence


def test_a_call_that_was_demanded_is_demanded_once() -> None:
    person, engine = Person(), Scripted((MULTIPLY, (Text("42."),)))
    person.ask(engine, request=Generate(QUESTION.prompt, tool_choice=ToolChoice(Calling.REQUIRED)))
    person.listen()
    assert [request.tool_choice.calling for request in engine.asked] == [Calling.REQUIRED, Calling.AUTO]


def test_an_answer_that_is_continued_goes_on_behind_its_calls_as_one_message() -> None:
    begun = Generate((*QUESTION.prompt, Message("assistant", "It is ")), continues=True)
    person, engine = Person(), Scripted(((Text("easy: "), *MULTIPLY), (Text("42."),)))
    person.ask(engine, request=begun)
    person.listen()
    assert not engine.asked[1].continues
    assert [part.content for part in engine.asked[1].prompt][1:] == ["It is easy: ", "42"]  # type: ignore[union-attr]


def test_stopping_while_the_model_speaks_ends_it() -> None:
    person, engine = Person(), Scripted(((),))
    person.ask(engine)
    assert engine.has_begun.wait(PATIENCE)
    person.answer.stop()
    assert person.listen().finish is Finish.ABORT


def test_stopping_while_a_call_waits_for_the_person_leaves_no_call_without_a_result() -> None:
    person = Person(decision=None)
    both = (*call("calculator", "{}", 0, "a"), *call("calculator", "{}", 1, "b"))
    person.ask(Scripted((both,)))
    person.hear(Proposed)
    person.answer.stop()
    ended = person.listen()
    assert ended.finish is Finish.ABORT
    assert [(m.tool_call_id, m.content) for m in ended.messages[1:]] == [
        ("a", "Stopped by the person."),
        ("b", "Stopped by the person."),
    ]


def test_stopping_while_a_tool_runs_calls_it_off() -> None:
    person, slow = Person(), Slow()
    person.ask(Scripted((call("slow", "{}"),)), slow)
    person.hear(Started)
    person.answer.stop()
    assert person.listen().finish is Finish.ABORT
    assert slow.future.cancelled()


def test_a_tool_that_takes_too_long_is_called_off_and_told() -> None:
    person, slow = Person(), Slow()
    person.ask(Scripted((call("slow", "{}"), (Text("It hangs."),))), slow, seconds=0.05)
    assert person.listen().messages[1].content == "The tool did not answer within 0.05 s and was called off."
    assert slow.future.cancelled()


def test_a_result_leaves_room_for_an_answer_in_a_small_context() -> None:
    person, slow = Person(), Slow()
    slow.future.set_result(Outcome("x" * 1_000_000))
    small = Ready(**{name: getattr(READY, name) for name in READY.__slots__} | {"context": 512})
    person.ask(Scripted((call("slow", "{}"), (Text("Long."),))), slow, ready=small)
    assert len(person.listen().messages[1].content) == LEAST_TEXT


def test_an_engine_that_refuses_the_results_says_why() -> None:
    person = Person()
    person.ask(Scripted((MULTIPLY, Failed(0, FailureKind.CONTEXT_LENGTH, "The prompt is too long."))))
    ended = person.listen()
    assert (ended.finish, ended.problem) == (None, "The prompt is too long.")
    assert len(ended.messages) == 2


def test_an_engine_that_is_down_is_a_sentence() -> None:
    class Down(Scripted):
        def submit(self, *_: Any) -> int:
            raise EngineError("The model is not loaded.")

    person = Person()
    person.ask(Down(()))
    assert person.listen() == Ended((), None, "The model is not loaded.")


def test_a_template_without_tools_is_said_and_works_all_the_same() -> None:
    plain = Ready(**{name: getattr(READY, name) for name in READY.__slots__} | {"takes_tools": False})
    person = Person()
    person.ask(Scripted((MULTIPLY, (Text("42."),))), ready=plain)
    assert person.listen().messages[-1].content == "42."
    assert person.heard[0] == Noted(NOT_MADE_FOR_TOOLS)


def test_a_base_model_is_offered_none() -> None:
    base = Ready(**{name: getattr(READY, name) for name in READY.__slots__} | {"has_chat_template": False})
    person, engine = Person(), Scripted(((Text("goes on"),),))
    person.ask(engine, ready=base, request=Generate("Once", tool_choice=ToolChoice(Calling.REQUIRED)))
    assert person.listen().messages[0].content == "goes on"
    assert (engine.asked[0].tools, engine.asked[0].tool_choice) == ((), AS_IT_LIKES)
    assert person.heard[0] == Noted(NO_CHAT)


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    supervisor = Supervisor(tmp_path / "logs")
    yield supervisor
    supervisor.close()


def test_a_real_engine_process_calls_and_reads_the_result(supervisor: Supervisor) -> None:
    """The fake model echoes: the call that stands in the question, and then what its tool has answered."""
    handle = supervisor.load("fake", Path("fake"), EngineOptions(), backend="fake")
    ready = handle.wait_ready(PATIENCE)
    text = '<tool_call>{"name": "calculator", "arguments": {"expression": "2 ^ 100"}}</tool_call>'
    person = Person()
    person.ask(handle, ready=ready, request=Generate((Message("user", text),)), rounds=1)
    ended = person.listen()
    assert ended.problem is None
    assert ended.messages[1].content == str(2**100)
    assert str(2**100) in ended.messages[2].content
