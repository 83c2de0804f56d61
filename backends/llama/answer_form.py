"""How a model's answers are to be read, and held to what a request demands: its template's formats, and its
vocabulary's markers. Knows no llama.cpp."""

from collections.abc import Iterable
from dataclasses import dataclass

from backends.chat.answer_parser import AnswerParser
from backends.chat.demand import Demand
from backends.chat.format import Format
from backends.chat.formats.table import named
from backends.chat.needed import Needed
from backends.chat.parser import ChatParser
from backends.chat.reasoning import Reasoning
from backends.chat.reasoning import named as reasoning_named
from backends.llama.chat_format import ChatFormat
from backends.llama.markers import Marker
from backends.messages import Message
from backends.protocol import Generate, Grammar, GrammarKind

ANY_MODELS = "think"  # for those whose template does not say: an answer that begins with this tag is not for people
NUM_LAST = 64  # tokens of a prompt by whose text it is known whether thoughts are open


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """markers: of the vocabulary, those that the formats are written with."""

    format: Format
    reasoning: Reasoning | None
    markers: tuple[Marker, ...]

    @classmethod
    def of(cls, form: ChatFormat, markers: Iterable[Marker]) -> "AnswerForm":
        format, reasoning = named(form.tools.format), reasoning_named(form.reasoning.name)
        marks = reasoning or reasoning_named(ANY_MODELS)
        assert marks
        texts = (*format.texts, *format.marks, marks.opener, marks.closer, marks.ending, *marks.marks)
        return cls(format, reasoning, tuple(marker for marker in markers if any(marker.text in text for text in texts)))

    def demanded(self, request: Generate, end: str) -> Grammar | None:
        """end: the prompt's last text."""
        is_thinking = _is_thinking(request, self.reasoning, end)
        demand = Demand(self.format, self.reasoning, is_thinking, request.max_thoughts)
        # as the grammar's own vocabulary has them
        is_token = {m.text: m.token for m in self.markers if m.is_control or (m.text[0] == "<" and m.text[-1] == ">")}
        held = request.grammar
        schema = held.text if held and held.kind is GrammarKind.JSON_SCHEMA else None
        return demand.grammar(request.tool_choice, request.tools, is_token, schema)

    def parser(self, request: Generate, end: str) -> AnswerParser:
        reasoning = self.reasoning or reasoning_named(ANY_MODELS)
        tools = request.tool_choice.among(request.tools)
        parser = ChatParser(
            self.format if tools else None, reasoning, tools, is_thinking=_is_thinking(request, reasoning, end)
        )
        marks = {m.token: m.text.encode() for m in self.markers if m.is_control}
        return AnswerParser(parser, marks, Needed() if tools and request.tool_choice.is_required else None)


def demands(request: Generate) -> bool:
    """Whether there may be a grammar that the request does not name."""
    if request.max_thoughts is not None:
        return True
    if request.grammar is not None and request.tool_choice.among(request.tools):
        return True
    return bool(request.tools) and (request.tool_choice.is_required or any(tool.strict for tool in request.tools))


def _is_thinking(request: Generate, reasoning: Reasoning | None, end: str) -> bool:
    if reasoning is None:
        return False
    prompt = request.prompt
    if request.continues and isinstance(prompt, tuple) and prompt and isinstance(last := prompt[-1], Message):
        return reasoning.is_left_open(last.content)
    return reasoning.is_open(end)
