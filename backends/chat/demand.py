"""What a request demands of an answer's calls and thoughts, as a grammar."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from backends.chat.constraint import Constraint
from backends.chat.format import Format
from backends.chat.pattern import Pattern
from backends.chat.reasoning import Reasoning
from backends.chat.syntax import Syntax
from backends.chat.syntaxes.harmony import Harmony
from backends.chat.syntaxes.objects import Objects
from backends.messages import Tool
from backends.protocol import Grammar
from backends.protocol.tool_choice import ToolChoice

WHITE = r"/[ \n]{0,3}/"  # behind thoughts
NO_BRACKET = r"/([^\s{\[](?s:.*))?/"  # a text that does not begin as a bare call does


@dataclass(frozen=True, slots=True)
class Demand:
    """format and reasoning: as the model writes. is_thinking: the prompt ended within thoughts. max_thoughts: tokens,
    after which thoughts are ended where one token ends them; None: as many as it likes."""

    format: Format
    reasoning: Reasoning | None = None
    is_thinking: bool = False
    max_thoughts: int | None = None

    def grammar(
        self, choice: ToolChoice, tools: Iterable[Tool], markers: Mapping[str, int], schema: str | None = None
    ) -> Grammar | None:
        """None where nothing is demanded. tools: all that were offered. markers: the vocabulary's, by their texts.
        schema: the JSON schema of an answer that is no call."""
        tools = choice.among(tools)
        constraint = Constraint({text: token for text, token in markers.items() if self._writes(text)})
        if tools and choice.is_required:
            calls = self.format.syntax.constrain(constraint, tools, choice.is_parallel)
            return constraint.grammar(f"{self._thoughts(constraint)} {calls}")
        if tools and schema is not None:
            calls = self.format.syntax.constrain(constraint, tools, choice.is_parallel)
            return constraint.grammar(f"{self._thoughts(constraint)} (({calls}) | ({self._held(constraint, schema)}))")
        if any(tool.strict for tool in tools) and (answer := self._free(constraint, tools)):
            return constraint.grammar(f"{self._thoughts(constraint)} {answer}")
        if self.max_thoughts is not None and self.reasoning and constraint.is_marker(self.reasoning.closer):
            return constraint.grammar(f"{self._thoughts(constraint)} {constraint.anything()}")
        return None

    def _writes(self, marker: str) -> bool:
        reasoning = (self.reasoning.opener, self.reasoning.closer, self.reasoning.ending) if self.reasoning else ()
        return any(marker in text for text in (*self.format.texts, *reasoning))

    def _thoughts(self, constraint: Constraint) -> str:
        """What may come before the rest."""
        if isinstance(self.format.syntax, Harmony):
            return self.format.syntax.thoughts(constraint)
        if self.reasoning is None:
            return ""
        thinking = f"{constraint.until(self.reasoning.closer, self.max_thoughts)} {WHITE}"
        if self.is_thinking:
            return thinking
        return f"({constraint.literal(self.reasoning.opener)} {thinking})?"

    def _held(self, constraint: Constraint, schema: str) -> str:
        """An answer of this JSON schema."""
        answer = constraint.json(json.loads(schema))
        syntax = self.format.syntax
        return f"{syntax.final(constraint)} {answer}" if isinstance(syntax, Harmony) else answer

    def _free(self, constraint: Constraint, tools: tuple[Tool, ...]) -> str | None:
        """Text and calls as the model likes, but the calls as the schemas say. None where the format has no mark by
        which a call is told from text before it is one."""
        syntax = self.format.syntax
        if isinstance(syntax, Harmony):
            return None
        if syntax.openers and all(map(constraint.is_marker, syntax.openers)):
            calls = syntax.constrain(constraint, tools, is_parallel=True)
            return f"{constraint.anything()} (({calls}) {constraint.anything()})*"
        if syntax.firsts and not syntax.openers:
            return f"(({syntax.constrain(constraint, tools, is_parallel=True)}) | {NO_BRACKET})"
        if isinstance(syntax, Objects):
            (opener,) = syntax.openers
            rest = _behind(syntax, opener).constrain(constraint, tools, is_parallel=False)
            return f"({constraint.until(opener)} {rest})* {constraint.without(opener)}"
        return None


def _behind(syntax: Objects, opener: str) -> Syntax:
    """What remains to be written once the opener stands there."""
    return replace(syntax, around=Pattern(syntax.around.text.lstrip().removeprefix(opener)))
