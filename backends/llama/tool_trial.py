"""Finds out what a chat template does with tools and reasoning, by having it write chats of words that no template
writes by itself."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from backends.chat import recognition
from backends.chat.form import ReasoningForm, ToolForm
from backends.chat.formats.table import GENERIC
from backends.chat.reasoning import REASONINGS, Reasoning, named
from backends.chat.recognition import CALLS, TOOLS
from backends.llama.chat_format import ASSISTANT, TOOL, USER, ChatFormat
from backends.llama.chat_turns import PARTS, shown, shown_tools
from backends.llama.compiled import CompiledTemplate
from backends.messages import Message, Tool
from backends.sandbox.job import Refused

ASK, AGAIN, ANSWER = Message(USER, "qqask"), Message(USER, "qqagain"), Message(ASSISTANT, "qqanswer")
THOUGHTS, RESULT = "qqthoughts", "qqresult"
FIELDS = ("reasoning_content", "reasoning", "thinking", PARTS)
# what templates ask for, and two values of which each must have its effect
SWITCHES: Mapping[str, tuple[Any, Any]] = {
    "enable_thinking": (True, False),
    "thinking": (True, False),
    "reasoning_effort": ("low", "high"),
}
THINKING = {"enable_thinking": True, "thinking": True}
HARMONY = "harmony"


@dataclass(frozen=True, slots=True)
class ToolTrial:
    template: CompiledTemplate
    form: ChatFormat

    def found(self) -> ChatFormat:
        """The form with what it does."""
        tools = self._tools()
        form = replace(self.form, tools=tools)
        return replace(form, reasoning=_ReasoningTrial(self.template, form).found())

    def _tools(self) -> ToolForm:
        offer, offering = self._offer()
        form = next((found for needs in _needs(offering) if (found := self._calls(needs))), None)
        if form is None:
            format = recognition.format_of_offer(offer) if offering.takes_tools else None
            form = replace(offering, format=format.name) if format else ToolForm()
        return replace(form, takes_results=form.format != GENERIC.name and self._takes_results(form))

    def _offer(self) -> tuple[str, ToolForm]:
        """What it writes where tools are offered, and what it wants for it."""
        for needs in (ToolForm(takes_tools=True), ToolForm(takes_tools=True, wants_descriptions=True)):
            text = self._write((ASK,), needs, TOOLS)
            if all(tool.name in text and tool.description in text for tool in TOOLS):
                return text, needs
        return "", ToolForm()

    def _calls(self, needs: ToolForm) -> ToolForm | None:
        calls = CALLS if needs.takes_several else CALLS[:1]
        tools = TOOLS if needs.takes_tools else ()
        with_calls = self._write((ASK, Message(ASSISTANT, "", calls)), needs, tools, is_answered=False)
        without = self._write((ASK, ANSWER), needs, tools, is_answered=False)
        if calls[0].name not in with_calls or not without:
            return None
        format = recognition.format_of_calls(recognition.turn_in(with_calls, without), calls)
        return replace(needs, format=format.name, takes_calls=True) if format else None

    def _takes_results(self, form: ToolForm) -> bool:
        calls = CALLS if form.takes_calls and form.takes_several else CALLS[:1]
        turn = Message(ASSISTANT, "", calls) if form.takes_calls else ANSWER
        results = tuple(Message(TOOL, f"{RESULT}{call.id}", (), call.id, call.name) for call in calls)
        text = self._write((ASK, turn, *results), form, TOOLS if form.takes_tools else ())
        return all(result.content in text for result in results)

    def _write(
        self, turns: Iterable[Message], tools: ToolForm, offered: Iterable[Tool] = (), is_answered: bool = True
    ) -> str:
        form = replace(self.form, tools=tools)
        return _written(self.template, form, turns, is_answered, offered)


@dataclass(frozen=True, slots=True)
class _ReasoningTrial:
    template: CompiledTemplate
    form: ChatFormat

    def found(self) -> ReasoningForm:
        form = next(self._fields(), None) or self._in_content() or ReasoningForm(self._in_prompt())
        if self.form.tools.format == HARMONY:
            form = replace(form, name=HARMONY)
        if form.name is None:
            return form
        keeps, keeps_in_turn = self._keeps(form)
        return replace(form, keeps=keeps, keeps_in_turn=keeps_in_turn, switches=tuple(self._switches()))

    def _fields(self) -> Iterator[ReasoningForm]:
        turn = replace(ANSWER, reasoning=THOUGHTS)
        for field, options in product(FIELDS, ({}, THINKING)):
            form = ReasoningForm(field=field)
            row = recognition.reasoning_of(self._write((ASK, turn), form, False, options), THOUGHTS)
            if row is None:  # some show them only beside calls
                row = recognition.reasoning_of(self._write(self._with_calls(form), form, True, options), THOUGHTS)
            if row:
                yield replace(form, name=row.name)

    def _in_content(self) -> ReasoningForm | None:
        """What it cuts out of the content of earlier turns."""
        for row in REASONINGS:
            if THOUGHTS not in (text := self._write((ASK, _thinking_aloud(row), AGAIN))) and ANSWER.content in text:
                return ReasoningForm(row.name, in_content=True)
        return None

    def _in_prompt(self) -> str | None:
        """What it begins answers with, or tells the model to do."""
        for options in ({}, THINKING, {"enable_thinking": False}):
            prompt = self._write((ASK,), options=options)
            row = next((row for row in REASONINGS if row.is_open(prompt)), None)
            if row := row or recognition.reasoning_named_in(prompt):
                return row.name
        return None

    def _keeps(self, form: ReasoningForm) -> tuple[bool, bool]:
        row = named(form.name)
        assert row
        turn = _thinking_aloud(row) if form.in_content else replace(ANSWER, reasoning=THOUGHTS)
        texts = (self._write(turns, form, True, THINKING) for turns in ((ASK, turn, AGAIN), self._with_calls(form)))
        keeps, keeps_in_turn = (THOUGHTS in text for text in texts)
        return keeps, keeps_in_turn

    def _with_calls(self, form: ReasoningForm) -> tuple[Message, ...]:
        if not self.form.tools.takes_calls or form.field == PARTS:
            return (ASK,)
        call = CALLS[0]
        thinking = Message(ASSISTANT, "", (call,), reasoning=THOUGHTS)
        return ASK, thinking, Message(TOOL, RESULT, (), call.id, call.name)

    def _switches(self) -> Iterator[str]:
        for name, (one, other) in SWITCHES.items():
            if self._write((ASK,), options={name: one}) != self._write((ASK,), options={name: other}):
                yield name

    def _write(
        self,
        turns: Iterable[Message],
        form: ReasoningForm | None = None,
        is_answered: bool = True,
        options: Mapping[str, Any] | None = None,
    ) -> str:
        whole = replace(self.form, reasoning=form or ReasoningForm())
        return _written(self.template, whole, turns, is_answered, (), options or {})


def _written(
    template: CompiledTemplate,
    form: ChatFormat,
    turns: Iterable[Message],
    is_answered: bool,
    tools: Iterable[Tool],
    options: Mapping[str, Any] | None = None,
) -> str:
    """Nothing where it refuses."""
    try:
        return template.write(
            shown(turns, form), is_answered, form.wants_lists, tools=shown_tools(tools, form), options=options or {}
        )
    except Refused:
        return ""


def _needs(offering: ToolForm) -> Iterator[ToolForm]:
    """In the order of what is best."""
    for takes_several in (True, False):
        for wants_nothing in (False, True):
            for wants_objects in (True, False):
                yield replace(
                    offering, takes_several=takes_several, wants_nothing=wants_nothing, wants_objects=wants_objects
                )


def _thinking_aloud(row: Reasoning) -> Message:
    return Message(ASSISTANT, f"{row.opener}\n{THOUGHTS}\n{row.closer}\n\n{ANSWER.content}")
