"""A model's chat template as its engine sees it: tried and rendered elsewhere, where it can be ended."""

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from backends.engine.runner import PromptError
from backends.llama import plain_chat
from backends.llama.chat_format import ChatFormat
from backends.llama.chat_jobs import TEMPLATE, Inside, Probe, Render, Template
from backends.llama.rendered import Rendered
from backends.messages import Message, Tool
from backends.protocol import FailureKind
from backends.sandbox.job import Fault
from backends.sandbox.sandbox import Sandbox

REMEMBERED_SECONDS = 60.0  # that a chat counts as one without end: the machine may have been to blame
MAX_REMEMBERED = 256

# for a model without a template whose vocabulary has this format's markers: it was trained on it
CHATML_MARKERS = ("<|im_start|>", "<|im_end|>")
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


class ChatTemplate:
    """Raises PromptError (BAD_TEMPLATE) at render time for a template that cannot be read, fails or has no end;
    UNAVAILABLE when there was nobody to read it.

    source: None for a base model, whose chats become a plain dialogue.
    tokens: texts of the tokens that templates name, by those names (`bos_token`).
    stops: texts that end an answer in this format, beside the vocabulary's own ends.
    notes: sentences for the person who loads the model.
    form: what it takes and does, once it was tried.
    """

    def __init__(self, source: str | None, tokens: Mapping[str, str], notes: tuple[str, ...] = ()):
        self._template = Template(source, dict(tokens)) if source else None
        self.form = ChatFormat()
        self._overruns = _Overruns()
        self._notes = notes
        self.is_broken = False  # when it was tried
        self.stops = () if source else plain_chat.STOPS

    def probe(self, sandbox: Sandbox) -> tuple[str, ...]:
        """Find out, once, what the template can take; sentences about what it cannot. It may be used without."""
        if self._template is None:
            return self._notes
        template = self._template
        try:
            self.form = sandbox.run(Probe(), **{TEMPLATE: lambda: template})
        except Fault as fault:
            self.is_broken = not fault.is_ours
            return (*self._notes, f"The model's chat template could not be tried: {fault}.")
        return (*self._notes, *self.form.notes)

    def inside_answers(self, sandbox: Sandbox) -> tuple[str, ...]:
        """The texts that it writes within an assistant's turn before the answer ends; none where it cannot be tried."""
        if self._template is None or self.is_broken:
            return ()
        template = self._template
        try:
            texts: tuple[str, ...] = sandbox.run(Inside(self.form), **{TEMPLATE: lambda: template})
        except Fault:
            return ()
        return texts

    def render(
        self,
        messages: tuple[Message, ...],
        sandbox: Sandbox,
        *,
        continues: bool = False,
        tracked: bool = False,
        tools: tuple[Tool, ...] = (),
        options: tuple[tuple[str, Any], ...] = (),
    ) -> Rendered:
        """continues: the last message is the beginning of the answer. tracked: say which characters people wrote.
        options: values that the template may ask for by these names."""
        if self._template is None:
            return plain_chat.render(_in_words(messages, tools, self.form), continues, tracked)
        template = self._template
        job = Render(messages, self.form, continues and bool(messages), tracked, tools, options)
        chat = _digest(job)
        reason = self._overruns.get(chat)
        if reason is None:
            try:
                rendered: Rendered = sandbox.run(job, **{TEMPLATE: lambda: template})
                return rendered
            except Fault as fault:
                if fault.is_ours:
                    sentence = f"The engine could not read this chat: {fault}. Try again in a moment."
                    raise PromptError(FailureKind.UNAVAILABLE, sentence) from None
                reason = str(fault)
                if not fault.is_final:
                    self._overruns.add(chat, reason)
        raise PromptError(FailureKind.BAD_TEMPLATE, f"The model's chat template refused this chat: {reason}.", "prompt")


def _in_words(messages: tuple[Message, ...], tools: tuple[Tool, ...], form: ChatFormat) -> tuple[Message, ...]:
    """Of a base model's chat, tools and calls as texts."""
    if not tools and not any(turn.tool_calls or turn.tool_call_id or turn.reasoning for turn in messages):
        return messages
    from backends.llama.chat_tools import prepared  # jinja comes with it, which no first token needs

    return prepared(messages, tools, form)


def chat_template(source: str | None, tokens: Mapping[str, str], has_control: Callable[[str], bool]) -> ChatTemplate:
    """The one to use for a model; its own, if it has any."""
    if source is None and all(map(has_control, CHATML_MARKERS)):
        note = "The model has no chat template; its vocabulary has the markers of ChatML, so that is its format here."
        return ChatTemplate(CHATML, tokens, (note,))
    return ChatTemplate(source, tokens)


class _Overruns:
    """Chats that have cost a child its life, by their digest. Thread-safe: two encoders render."""

    def __init__(self) -> None:
        self._reasons: OrderedDict[bytes, tuple[str, float]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, chat: bytes) -> str | None:
        with self._lock:
            reason, since = self._reasons.get(chat, ("", 0.0))
            if not reason or time.monotonic() - since > REMEMBERED_SECONDS:
                return None
            return reason

    def add(self, chat: bytes, reason: str) -> None:
        with self._lock:
            self._reasons[chat] = reason, time.monotonic()
            while len(self._reasons) > MAX_REMEMBERED:
                self._reasons.popitem(last=False)


def _digest(job: Render) -> bytes:
    chat = repr((job.messages, job.continues, job.tracked, job.tools, job.options))
    return hashlib.sha256(chat.encode("utf-8", "surrogatepass")).digest()
