"""A model's chat template as its engine sees it: rendered elsewhere, where it can be ended."""

import hashlib
import threading
import time
from collections import OrderedDict

from backends.engine.runner import PromptError
from backends.llama.jinja import CHATML, TEMPLATE, Render, Template
from backends.llama.rendered import Rendered
from backends.protocol import FailureKind, Message
from backends.sandbox.job import Fault
from backends.sandbox.sandbox import Sandbox

REMEMBERED_SECONDS = 60.0  # that a chat counts as one without end: the machine may have been to blame
MAX_REMEMBERED = 256


class ChatTemplate:
    """Raises PromptError (BAD_TEMPLATE) at render time for a template that cannot be read, fails or has no end;
    UNAVAILABLE when there was nobody to read it."""

    stops: tuple[str, ...] = ()  # texts that end an answer of this format, beside the vocabulary's own ends

    def __init__(self, source: str | None, bos: str, eos: str):
        self._template = Template(source or CHATML, bos, eos)
        self._overruns = _Overruns()

    def render(
        self, messages: tuple[Message, ...], sandbox: Sandbox, *, continues: bool = False, tracked: bool = False
    ) -> Rendered:
        """continues: the last message is the beginning of the answer. tracked: say which characters people wrote."""
        chat = _digest(messages)
        reason = self._overruns.get(chat)
        if reason is None:
            try:
                text: str = sandbox.run(Render(messages), **{TEMPLATE: lambda: self._template})
                return Rendered(text)
            except Fault as fault:
                if fault.is_ours:
                    sentence = f"The engine could not read this chat: {fault}. Try again in a moment."
                    raise PromptError(FailureKind.UNAVAILABLE, sentence) from None
                reason = str(fault)
                if not fault.is_final:
                    self._overruns.add(chat, reason)
        raise PromptError(FailureKind.BAD_TEMPLATE, f"The model's chat template refused this chat: {reason}.")


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


def _digest(messages: tuple[Message, ...]) -> bytes:
    return hashlib.sha256(repr(messages).encode("utf-8", "surrogatepass")).digest()
