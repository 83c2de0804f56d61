"""What a chat template writes behind an assistant's turn: a model that learnt from it ends its answers with that. Not
what the template also writes within such a turn (Solar-Open ends its thoughts with it)."""

import re
from dataclasses import dataclass

from backends.engine.runner import PromptError
from backends.llama.markers import Markers
from backends.llama.template import ChatTemplate
from backends.protocol import Message
from backends.sandbox.sandbox import Sandbox

ANSWER = "Slipstream has answered"
# with a turn behind it: some models have no end of their own and begin the next turn (GLM-4's <|user|>)
PROBE = (Message("user", "Hello"), Message("assistant", ANSWER), Message("user", "Thanks"))
# what looks like a marker and is no token of this vocabulary
WRITTEN_MARKER = re.compile(r"\s*(<[^<>\s]{2,64}>|\[/?[A-Z_]{2,64}\])")


@dataclass(frozen=True, slots=True)
class TemplateEnds:
    """tokens: control tokens that end an answer. stops: texts that do."""

    tokens: frozenset[int] = frozenset()
    stops: tuple[str, ...] = ()


def find_ends(template: ChatTemplate, sandbox: Sandbox, markers: Markers) -> TemplateEnds:
    """Found by trying it once. Nothing, where it refuses or changes the answer; then the chat will say why."""
    if template.is_broken:  # it may take its whole time again
        return TemplateEnds()
    try:
        text = template.render(PROBE, sandbox).text
    except PromptError:
        return TemplateEnds()
    _, answer, rest = text.partition(ANSWER)
    if not answer:
        return TemplateEnds()
    inside = template.inside_answers(sandbox)
    within = {part.token for text in inside for part in markers.split(text)}
    for part in markers.split(rest):
        if part.token is not None and markers.is_control(part.token):
            return TemplateEnds(tokens=frozenset((part.token,)) - within)
        if rest[part.begin : part.end].strip():  # something that people can read comes first
            break
    written = WRITTEN_MARKER.match(rest)
    # those of gpt-oss are markers that are shown, and stand within answers, too
    if written is None or markers.in_text(written[1]) or any(written[1] in text for text in inside):
        return TemplateEnds()
    return TemplateEnds(stops=(written[1],))
