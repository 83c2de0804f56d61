"""Tries a grammar on a model's vocabulary, inside a sandbox's child: what blows up, blows up there."""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from llguidance import LLMatcher, LLParserLimits, LLTokenizer, TokenizerWrapper

from backends.llama.grammar_faults import NO_TOKEN, reason_of
from backends.llama.grammar_source import MAX_TEXT, source_of
from backends.protocol import Grammar
from backends.sandbox.job import Refused

# some 20 ms of lexing and 2 ms of parsing per token at most, while the other streams wait
LIMITS = LLParserLimits(step_lexer_fuel=200_000, step_max_items=50_000, max_lexer_states=50_000, verbose_errors=False)
# parts of the vocabulary that are let through in one look, where the grammar lets all of them through: what may stand
# in a string, for one with a greatest length and for one without. With 262k tokens a mask in a string takes 0.6 ms in
# place of 4 (0.05 in place of 0.45 in all of an answer), and the tokenizer's making 0.99 s in place of 0.88
SLICES = [r'[^"\\\x00-\x1F\x7F]{1,10}', r'[^"\\\x00-\x1F\x7F]+']
PROBE_TOKENS = 2  # what blows up mostly does so at the first mask, or at the one after it
VOCABULARY = "vocabulary"  # its name among the tools


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The bytes of all tokens in a row, control tokens marked as llguidance wants them; how many each has; and those
    that end an answer."""

    text: bytes
    sizes: "array[int]"
    ends: list[int]

    def pieces(self) -> list[bytes]:
        ends = list(accumulate(self.sizes))
        return [self.text[end - size : end] for size, end in zip(self.sizes, ends, strict=True)]

    def unpack(self) -> LLTokenizer:
        tokens = _Tokens(self.pieces(), self.ends)
        wrapper = TokenizerWrapper(tokens)
        tokenizer = LLTokenizer(wrapper, eos_token=self.ends, slices=SLICES)
        tokens.tokens = wrapper.tokens = []  # llguidance has its own copy, and keeps the wrapper
        return tokenizer


@dataclass(frozen=True, slots=True)
class TryGrammar:
    """The job; its result is the grammar in llguidance's own format, which compiles within the bounds."""

    grammar: Grammar

    def run(self, tools: Mapping[str, Any]) -> str:
        if len(self.grammar.text) > MAX_TEXT:
            raise Refused(f"it is longer than {MAX_TEXT} characters")
        try:
            source = source_of(self.grammar)
        except ValueError as error:
            raise Refused(reason_of(str(error))) from None
        _probe(LLMatcher(tools[VOCABULARY], source, log_level=0, limits=LIMITS))
        return source


class _Tokens:
    """What llguidance asks of a tokenizer. It spells nothing with it, because nothing is forced."""

    bos_token_id = None
    special_token_ids: tuple[int, ...] = ()

    def __init__(self, pieces: list[bytes], ends: list[int]):
        self.eos_token_id = ends[0]
        self.tokens = pieces

    def __call__(self, _text: bytes) -> list[int]:
        return []


def _probe(matcher: LLMatcher) -> None:
    for _ in range(PROBE_TOKENS):
        token = _first(_mask(matcher))
        if token is None or matcher.try_consume_tokens([token]) != 1:
            break
    _mask(matcher)


def _mask(matcher: LLMatcher) -> bytes:
    if not matcher.is_error() and matcher.is_stopped():
        return b""
    mask: bytes = b"" if matcher.is_error() else matcher.compute_bitmask()
    if matcher.is_error():
        raise Refused(NO_TOKEN if is_dead_end(matcher) else reason_of(matcher.get_error()))
    if not any(mask):
        raise Refused(NO_TOKEN)
    return mask


def _first(mask: bytes) -> int | None:
    return next((8 * i + (byte & -byte).bit_length() - 1 for i, byte in enumerate(mask) if byte), None)


def is_dead_end(matcher: LLMatcher) -> bool:
    """Whether it is in error because no text can go on."""
    return matcher.get_error().startswith("NoExtension")
