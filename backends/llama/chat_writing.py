"""The inside of a sandbox's jobs with chats: tries a template, and has it write."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from backends.llama.chat_format import ASSISTANT, EVERYBODY, SYSTEM, USER, ChatFormat, fit, strictest
from backends.llama.chat_jobs import Render
from backends.llama.chat_tools import prepared
from backends.llama.chat_turns import said_value, shown, shown_tools
from backends.llama.compiled import CompiledTemplate
from backends.llama.rendered import Rendered
from backends.llama.said import all_said, concat, spans_of
from backends.llama.tool_trial import ToolTrial
from backends.messages import Message
from backends.sandbox.job import Refused

# at the end of a text that is to be continued; the blank shows whether the template trims
MARK = "CONTINUE_FINAL_MESSAGE_TAG "
SHORT = 20_000  # characters of a chat that is written twice, to see that knowing who wrote what changes nothing


def render(job: Render, template: CompiledTemplate) -> Rendered:
    """Raises Refused."""
    template.clock.set()
    refusal: Refused | None = None
    for turns in _fitted(job):
        try:
            return _written(job, template, turns)
        except Refused as reason:
            refusal = refusal or reason
    assert refusal
    raise refusal


def form_of(template: CompiledTemplate) -> ChatFormat:
    """Raises Refused if it cannot even write a question."""
    template.clock.set()
    return ToolTrial(template, _Trial(template).form()).found()


def texts_inside(form: ChatFormat, template: CompiledTemplate) -> tuple[str, ...]:
    template.clock.set()
    (ask,) = shown((Message(USER, "qqask"),), form, tracked=False)
    inside = []
    with suppress(Refused):
        whole, alone = (template.write([ask], is_answered, form.wants_lists) for is_answered in (True, False))
        inside.append(whole.removeprefix(alone) if whole.startswith(alone) else "")
    for answer in _thoughtful():
        with suppress(Refused):
            text = template.write([ask, answer], False, form.wants_lists)
            between, found, _ = text.partition("qqthoughts")[2].rpartition("qqanswer")
            inside += [between] if found else []
    return tuple(inside)


def _fitted(job: Render) -> Iterator[tuple[Message, ...]]:
    """As the template takes it by what is known, and where it is refused all the same, by the strictest rules."""
    messages = prepared(job.messages, job.tools, job.form)
    first = fit(messages, job.form, job.continues)
    yield first
    if (second := fit(messages, strictest(job.form), job.continues)) != first:
        yield second


def _written(job: Render, template: CompiledTemplate, turns: tuple[Message, ...]) -> Rendered:
    """Where origins are told, they are told by the text that is used; a long chat has no time for two."""
    if not job.tracked:
        return Rendered(_text_of(job, template, turns, False))
    try:
        said = _text_of(job, template, turns, True)
    except Refused:  # the chat, or what origins do not survive
        return Rendered(_text_of(job, template, turns, False), None)
    if sum(len(turn.content) for turn in turns) <= SHORT:
        text = _text_of(job, template, turns, False)
        if said != text:
            return Rendered(text, None)
    return Rendered(str.__str__(said), spans_of(said))


def _text_of(job: Render, template: CompiledTemplate, turns: tuple[Message, ...], tracked: bool) -> str:
    extras = _Extras(shown_tools(job.tools, job.form, tracked), said_value(dict(job.options), tracked))
    return _text(template, turns, job.form, job.continues, tracked, extras)


@dataclass(frozen=True, slots=True)
class _Extras:
    """What a template is given beside the turns."""

    tools: list[dict[str, Any]] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


NO_EXTRAS = _Extras()


def _thoughtful() -> Iterator[dict[str, Any]]:
    """An answer with thoughts, in every way in which templates expect them."""
    for place in ("reasoning_content", "reasoning", "thinking"):
        yield {"role": ASSISTANT, "content": "qqanswer", place: "qqthoughts"}
    parts = [{"type": "thinking", "thinking": "qqthoughts"}, {"type": "text", "text": "qqanswer"}]
    yield {"role": ASSISTANT, "content": parts}
    yield {"role": ASSISTANT, "content": "<think>\nqqthoughts\n</think>\n\nqqanswer"}


class _Trial:
    """Chats of words that no template writes by itself: where one is missing in the text, its turn was left out."""

    def __init__(self, template: CompiledTemplate):
        self._template = template
        self._needs = ChatFormat()

    def form(self) -> ChatFormat:
        ask, answer, again, more = (USER, "qqask"), (ASSISTANT, "qqanswer"), (USER, "qqagain"), (ASSISTANT, "qqmore")
        system = (SYSTEM, "qqsystem")
        self._need(Message(*ask))
        if not self._needs.takes_words:
            return self._needs
        pairs = {USER: (ask, again), ASSISTANT: (ask, answer, more, again)}
        with suppress(Refused):  # compiled for the first chat
            _text(self._template, (Message(*ask),), self._needs, tracked=True)
        voids = {USER: ((USER, ""), answer, again), ASSISTANT: (ask, (ASSISTANT, ""), again)}
        return replace(
            self._needs,
            takes_system=self._writes(system, ask),
            takes_late_system=self._writes(ask, answer, system, again),
            takes_opening=self._writes(answer, ask),
            alternating=frozenset(role for role in EVERYBODY if not self._writes(*pairs[role])),
            filled=frozenset(role for role in EVERYBODY if not self._writes(*voids[role])),
        )

    def _need(self, question: Message) -> None:
        """What it wants with every chat. Raises Refused, with its own reason."""
        for parts, lists in ((False, False), (True, False), (False, True), (True, True)):
            self._needs = ChatFormat(wants_parts=parts, wants_lists=lists)
            if self._writes((question.role, question.content)):
                return
        self._needs = ChatFormat(takes_words=False)
        _text(self._template, (question,), self._needs)

    def _writes(self, *turns: tuple[str, str]) -> bool:
        try:
            text = _text(self._template, tuple(Message(*turn) for turn in turns), self._needs)
        except Refused:
            return False
        written = text.casefold()  # some write all in capitals
        return all(content in written for _, content in turns)


def _text(
    template: CompiledTemplate,
    turns: tuple[Message, ...],
    form: ChatFormat,
    continues: bool = False,
    tracked: bool = False,
    extras: _Extras = NO_EXTRAS,
) -> str:
    def write(messages: list[dict[str, Any]], is_answered: bool) -> str:
        return template.write(messages, is_answered, form.wants_lists, tracked, extras.tools, extras.options)

    if not continues:
        return write(shown(turns, form, tracked), True)
    text = write(shown(turns, form, tracked, MARK), False)
    at = text.rfind(MARK.strip())
    if at >= 0 and turns[-1].content.strip() in text:
        is_kept = text[at : at + len(MARK)] == MARK
        return text[:at] if is_kept else text[:at].rstrip()
    # the template leaves out, or changes, the answer that it is given
    head = write(shown(turns[:-1], form, tracked), True)
    return concat((head, all_said(turns[-1].content))) if tracked else head + turns[-1].content
