"""What is asked of a chat template inside a sandbox: what it can take, and to write a chat.

Values alone, which the engine makes: what reads templates is imported where they run.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backends.llama.chat_format import ChatFormat
from backends.llama.rendered import Rendered
from backends.messages import Message, Tool

if TYPE_CHECKING:
    from backends.llama.compiled import CompiledTemplate

TEMPLATE = "template"  # its name among the tools


@dataclass(frozen=True, slots=True)
class Template:
    """A template's source as a sandbox gets it, and the model's tokens that it may name (`bos_token` …)."""

    source: str
    tokens: Mapping[str, str] = field(default_factory=dict)

    def unpack(self) -> "CompiledTemplate":
        from backends.llama.compiled import CompiledTemplate

        return CompiledTemplate(self)


@dataclass(frozen=True, slots=True)
class Render:
    """Its result is a Rendered. options: names and values that the template may ask for. tracked: which characters
    people wrote is told, where it can be known. Also where they wrote nothing like a control token: a template may make
    one of it (SmolLM3 takes out `/no_think`)."""

    messages: tuple[Message, ...]
    form: ChatFormat
    continues: bool = False
    tracked: bool = False
    tools: tuple[Tool, ...] = ()
    options: tuple[tuple[str, Any], ...] = ()

    def run(self, tools: Mapping[str, Any]) -> Rendered:
        from backends.llama.chat_writing import render

        return render(self, tools[TEMPLATE])


@dataclass(frozen=True, slots=True)
class Probe:
    """Its result is a ChatFormat. Raises Refused if the template cannot even write a question."""

    def run(self, tools: Mapping[str, Any]) -> ChatFormat:
        from backends.llama.chat_writing import form_of

        return form_of(tools[TEMPLATE])


@dataclass(frozen=True, slots=True)
class Inside:
    """Its result are the texts that the template writes within an assistant's turn before the answer ends: the head of
    the turn, and what stands between thoughts and answer, however it is given them."""

    form: ChatFormat

    def run(self, tools: Mapping[str, Any]) -> tuple[str, ...]:
        from backends.llama.chat_writing import texts_inside

        return texts_inside(self.form, tools[TEMPLATE])
