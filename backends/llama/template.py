"""A model's chat template as its engine sees it: rendered elsewhere, where it can be ended."""

from backends.engine.runner import PromptError
from backends.llama.jinja import CHATML, TEMPLATE, Render, Template
from backends.protocol import FailureKind, Message
from backends.sandbox.job import Fault
from backends.sandbox.sandbox import Sandbox


class ChatTemplate:
    """Raises PromptError (BAD_TEMPLATE) at render time for a template that cannot be read, fails or has no end."""

    def __init__(self, source: str | None, bos: str, eos: str):
        self._template = Template(source or CHATML, bos, eos)

    def render(self, messages: tuple[Message, ...], sandbox: Sandbox) -> str:
        try:
            text: str = sandbox.run(Render(messages), **{TEMPLATE: lambda: self._template})
        except Fault as fault:
            sentence = f"The model's chat template refused this chat: {fault}."
            raise PromptError(FailureKind.BAD_TEMPLATE, sentence) from None
        return text
