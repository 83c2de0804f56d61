"""A grammar for each format lets through what the format writes, with arguments of the schema, and nothing else."""

import json
from dataclasses import replace

import pytest
from llguidance import LLMatcher, LLTokenizer, TokenizerWrapper

from backends.chat.demand import Demand
from backends.chat.format import Format
from backends.chat.formats.table import FORMATS, GENERIC, named
from backends.chat.reasoning import named as reasoning_named
from backends.llama.grammar_source import source_of
from backends.llama.grammar_trial import LIMITS, SLICES
from backends.messages import Tool, ToolCall
from backends.protocol import Grammar
from backends.protocol.tool_choice import Calling, ToolChoice
from tests.chat.calls import NESTED, NOTE, PLAIN, TOOLS, WEATHER

REQUIRED = ToolChoice(Calling.REQUIRED)
END = 256
FIRST_MARKER = 257
THINK = reasoning_named("think")


class Tokens:
    """One token a byte, and the markers."""

    bos_token_id = None
    special_token_ids: tuple[int, ...] = ()
    eos_token_id = END

    def __init__(self, markers: dict[str, int]):
        self.tokens = [
            *(bytes([byte]) for byte in range(256)),
            b"\xff</s>",
            *(b"\xff" + text.encode() for text in markers),
        ]

    def __call__(self, _text: bytes) -> list[int]:
        return []


class Model:
    def __init__(self, *markers: str):
        self.markers = {text: FIRST_MARKER + at for at, text in enumerate(markers)}
        wrapper = TokenizerWrapper(Tokens(self.markers))
        self._tokenizer = LLTokenizer(wrapper, eos_token=[END], slices=SLICES)

    def accepts(self, grammar: Grammar | None, text: str) -> bool:
        assert grammar
        matcher = LLMatcher(self._tokenizer, source_of(grammar), log_level=0, limits=LIMITS)
        assert not matcher.is_error(), matcher.get_error()
        tokens = self._tokens(text)
        return matcher.try_consume_tokens(tokens) == len(tokens) and matcher.is_accepting()

    def _tokens(self, text: str) -> list[int]:
        tokens: list[int] = []
        while text:
            marker = next((marker for marker in self.markers if text.startswith(marker)), None)
            tokens += [self.markers[marker]] if marker else list(text[0].encode())
            text = text[len(marker or text[0]) :]
        return tokens


PLAIN_MODEL = Model()
every_format = pytest.mark.parametrize("format", FORMATS, ids=lambda format: format.name)


def model_of(format: Format) -> Model:
    """One that has the format's marks as tokens."""
    return Model(
        *sorted({text for text in format.texts if text[0] in "<[" and text[-1] in ">]"}, key=len, reverse=True)
    )


def calls_text(format: Format, *calls: ToolCall) -> str:
    """As the grammar wants it: values in Python may be JSON, and harmony has one way of two."""
    if format.name == "harmony":
        head = "<|channel|>commentary to=functions.{} <|constrain|>json<|message|>{}"
        return head.format(calls[0].name, calls[0].arguments)
    text = format.syntax.write(calls)
    return text.replace("'", '"').replace("True", "true") if "(" in text else text


@every_format
@pytest.mark.parametrize("has_tokens", [False, True], ids=["written out", "tokens"])
def test_a_required_call_is_let_through(format: Format, has_tokens: bool) -> None:
    model = model_of(format) if has_tokens else PLAIN_MODEL
    grammar = Demand(format).grammar(REQUIRED, TOOLS, model.markers)
    for call in (PLAIN, NESTED):
        assert model.accepts(grammar, calls_text(format, call))
    assert not model.accepts(grammar, "I would rather not.")
    assert not model.accepts(grammar, calls_text(format, replace(PLAIN, name="get_wether")))
    assert not model.accepts(grammar, "")


@every_format
def test_arguments_must_match_the_schema(format: Format) -> None:
    grammar = Demand(format).grammar(REQUIRED, TOOLS, {})
    wrong = (
        replace(PLAIN, arguments='{"city": "Paris", "days": "three"}'),
        replace(PLAIN, arguments='{"days": 3}'),
        replace(PLAIN, arguments='{"city": "Paris", "country": "France"}'),
        replace(NESTED, arguments=NESTED.arguments.replace("-1.5", '"x"')),
    )
    for call in wrong:
        assert not PLAIN_MODEL.accepts(grammar, calls_text(format, call))


@every_format
def test_one_call_where_parallel_ones_are_not_wanted(format: Format) -> None:
    two = calls_text(format, PLAIN, NESTED)
    alone = Demand(format).grammar(replace(REQUIRED, is_parallel=False), TOOLS, {})
    assert PLAIN_MODEL.accepts(alone, calls_text(format, PLAIN))
    if format.name != "harmony":
        assert PLAIN_MODEL.accepts(Demand(format).grammar(REQUIRED, TOOLS, {}), two)
        assert not PLAIN_MODEL.accepts(alone, two)


@every_format
def test_a_named_tool_is_the_only_one(format: Format) -> None:
    grammar = Demand(format).grammar(ToolChoice(name="get_weather"), TOOLS, {})
    assert PLAIN_MODEL.accepts(grammar, calls_text(format, PLAIN))
    assert not PLAIN_MODEL.accepts(grammar, calls_text(format, NESTED))


def test_nothing_is_demanded_of_most_answers() -> None:
    demand = Demand(GENERIC, THINK)
    assert demand.grammar(ToolChoice(), TOOLS, {}) is None
    assert demand.grammar(ToolChoice(Calling.NONE), [replace(WEATHER, strict=True)], {}) is None
    assert demand.grammar(REQUIRED, (), {}) is None


@pytest.mark.parametrize("name", ["generic", "hermes", "mistral", "qwen-xml", "llama", "granite"])
def test_a_strict_tool_leaves_text_free_and_holds_calls(name: str) -> None:
    format = named(name)
    strict: list[Tool] = [replace(tool, strict=True) for tool in (WEATHER, NOTE)]
    for model in (PLAIN_MODEL, model_of(format)):
        grammar = Demand(format).grammar(ToolChoice(), strict, model.markers)
        if grammar is None:  # its marks are no tokens
            assert name in ("mistral", "qwen-xml")
            continue
        before = "" if name == "llama" else "I shall look <there> [now].\n"
        assert model.accepts(grammar, "Hello < [ world.")
        assert model.accepts(grammar, before + calls_text(format, PLAIN))
        assert not model.accepts(grammar, before + calls_text(format, replace(PLAIN, arguments='{"day": 3}')))


def test_thoughts_may_come_first() -> None:
    grammar = Demand(named("hermes"), THINK).grammar(REQUIRED, TOOLS, {})
    call = calls_text(named("hermes"), PLAIN)
    assert PLAIN_MODEL.accepts(grammar, call)
    assert PLAIN_MODEL.accepts(grammar, f"<think>I must </call> it.</think>\n\n{call}")
    opened = Demand(named("hermes"), THINK, is_thinking=True).grammar(REQUIRED, TOOLS, {})
    assert PLAIN_MODEL.accepts(opened, f"I must.</think>\n\n{call}")
    assert not PLAIN_MODEL.accepts(opened, call)


def test_thoughts_end_after_so_many_tokens() -> None:
    model = Model("<think>", "</think>")
    grammar = Demand(GENERIC, THINK, max_thoughts=4).grammar(ToolChoice(), (), model.markers)
    assert model.accepts(grammar, "<think>Hm.</think>Four.")
    assert model.accepts(grammar, "Four.")
    assert not model.accepts(grammar, "<think>Hmmm...</think>Four.")
    assert Demand(GENERIC, THINK, max_thoughts=4).grammar(ToolChoice(), (), {}) is None


def test_definitions_of_a_schema_are_followed() -> None:
    parameters = {
        "type": "object",
        "$defs": {"Place": {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}},
        "properties": {"place": {"$ref": "#/$defs/Place"}, "text": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
        "required": ["place"],
    }
    tool = Tool("go", "", json.dumps(parameters))
    for format in FORMATS:
        grammar = Demand(format).grammar(REQUIRED, [tool], {})
        assert PLAIN_MODEL.accepts(grammar, calls_text(format, ToolCall("abc123def", "go", '{"place": {"x": 3}}')))


ANSWER = '{"type": "object", "properties": {"sky": {"enum": ["blue", "grey"]}}, "required": ["sky"]}'


@every_format
@pytest.mark.parametrize("has_tokens", [False, True], ids=["written out", "tokens"])
def test_beside_a_schema_it_is_a_call_or_an_answer_of_the_schema(format: Format, has_tokens: bool) -> None:
    model = model_of(format) if has_tokens else PLAIN_MODEL
    grammar = Demand(format).grammar(ToolChoice(), TOOLS, model.markers, ANSWER)
    head = "<|channel|>final<|message|>" if format.name == "harmony" else ""
    assert model.accepts(grammar, calls_text(format, PLAIN))
    assert model.accepts(grammar, head + '{"sky": "blue"}')
    for other in ('{"sky": "red"}', "The sky is blue.", "{}", ""):
        assert not model.accepts(grammar, head + other)
    assert not model.accepts(grammar, calls_text(format, replace(PLAIN, name="get_wether")))


def test_a_call_that_is_required_leaves_no_room_for_the_answer_of_a_schema() -> None:
    grammar = Demand(GENERIC).grammar(REQUIRED, TOOLS, {}, ANSWER)
    assert not PLAIN_MODEL.accepts(grammar, '{"sky": "blue"}')
    assert Demand(GENERIC).grammar(ToolChoice(Calling.NONE), TOOLS, {}, ANSWER) is None


def test_thoughts_come_before_an_answer_of_a_schema() -> None:
    grammar = Demand(named("hermes"), THINK).grammar(ToolChoice(), TOOLS, {}, ANSWER)
    assert PLAIN_MODEL.accepts(grammar, '<think>\nHm.\n</think>\n\n{"sky": "grey"}')
