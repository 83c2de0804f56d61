"""Holds an answer to a grammar: one token is checked at a time, and the whole vocabulary only after a refusal.

llguidance does the parsing. Its limits are counts of work, so that a grammar that blows up ends in an error.
"""

import math
import re
from collections.abc import Sequence

import numpy as np
from llguidance import LLMatcher, LLParserLimits, LLTokenizer, grammar_from
from llguidance.llamacpp import lltokenizer_from_vocab

from backends.engine.runner import PromptError
from backends.llama.candidates import Ids
from backends.llama.native import NativeModel
from backends.protocol import FailureKind, Grammar, GrammarKind

MAX_TEXT = 2**16  # characters; ten times as many alternatives were measured to compile for seconds
# some 20 ms of lexing and 2 ms of parsing per token at most, while the other streams wait
LIMITS = LLParserLimits(step_lexer_fuel=200_000, step_max_items=50_000, max_lexer_states=50_000, verbose_errors=False)
# one state of an automaton for each remainder, some 15 µs apiece, and none of the limits counts them
MAX_REMAINDERS, MAX_DIGITS = 10_000, 20
MULTIPLE_OF = re.compile(r'"multipleOf"\s*:\s*(\d+)(?:\.(\d+))?(?:[eE]([-+]?\d{1,9}))?')
PROBE_TOKENS = 2  # what blows up mostly does so at the first mask, or at the one after it


class GrammarError(Exception):
    """The grammar gave out in the middle of an answer: too ambiguous to follow, or without a way on."""


class Matcher:
    """One answer's place in its grammar. It moves on by the tokens it takes, and never back."""

    def __init__(self, matcher: LLMatcher, ends: Sequence[int]):
        self._matcher = matcher
        self._ends = ends

    def take(self, token: int) -> bool:
        """False when the grammar does not allow the token here. Raises GrammarError."""
        if token in self._ends:
            return self._matcher.is_accepting()
        is_taken = self._matcher.try_consume_tokens([token]) == 1
        self._check()
        return is_taken

    def allowed(self) -> Ids:
        """All tokens that may come here, the ends only where the grammar is fulfilled. Raises GrammarError."""
        if self._matcher.is_stopped():
            self._check()
            return np.array(self._ends, np.intp)
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        self._check()
        ids = np.flatnonzero(np.unpackbits(bits, bitorder="little"))
        if not ids.size:
            raise GrammarError("The grammar allows no token of this model here.")
        return ids

    def copy(self) -> "Matcher":
        return Matcher(self._matcher.deep_copy(), self._ends)

    def _check(self) -> None:
        if self._matcher.is_error():
            reason = self._matcher.get_error()
            if reason.startswith("NoExtension"):
                raise GrammarError("The grammar allows no token of this model here.")
            raise GrammarError(f"The grammar cannot be followed: {_reason(reason)}.")


class GrammarCompiler:
    """Makes matchers for one model. Its view of the vocabulary is made for the first grammar (a second for 128k)."""

    def __init__(self, model: NativeModel, ends: frozenset[int]):
        self._model = model
        self._ends = sorted(ends)
        self._tokenizer: LLTokenizer | None = None

    def compile(self, grammar: Grammar) -> Matcher:
        """Raises PromptError for a grammar that cannot be read, or is too large, or blows up at its beginning."""
        if not self._ends:
            raise _refusal("this model has no token that ends an answer")
        if len(grammar.text) > MAX_TEXT:
            raise _refusal(f"it is longer than {MAX_TEXT} characters")
        if _num_remainders(grammar.text) > MAX_REMAINDERS:
            raise _refusal(f"its multipleOf, all taken together, has more than {MAX_REMAINDERS} remainders")
        try:
            native = LLMatcher(self._vocabulary(), _source(grammar), log_level=0, limits=LIMITS)
        except ValueError as error:
            raise _refusal(_reason(str(error))) from None
        if native.is_error():
            raise _refusal(_reason(native.get_error()))
        matcher = Matcher(native, self._ends)
        _probe(matcher.copy())
        return matcher

    def _vocabulary(self) -> LLTokenizer:
        if self._tokenizer is None:
            self._tokenizer = lltokenizer_from_vocab(self._model.vocab, eos_token=self._ends)
        return self._tokenizer


def _source(grammar: Grammar) -> str:
    match grammar.kind:
        case GrammarKind.JSON_SCHEMA:
            # without a limit a model may write blanks for ever
            return LLMatcher.grammar_from_json_schema(grammar.text, overrides={"whitespace_pattern": r"[ \n\t]{0,20}"})
        case GrammarKind.REGEX:
            return LLMatcher.grammar_from_regex(grammar.text)
        case GrammarKind.LARK:
            return LLMatcher.grammar_from_lark(grammar.text)
        case GrammarKind.GBNF:
            return grammar_from("gbnf", grammar.text)


def _probe(matcher: Matcher) -> None:
    """In the receiver's thread, where an explosion holds up nobody's step."""
    try:
        for _ in range(PROBE_TOKENS):
            matcher.take(int(matcher.allowed()[0]))
        matcher.allowed()
    except GrammarError as error:
        raise PromptError(FailureKind.BAD_REQUEST, str(error)) from None


def _refusal(reason: str) -> PromptError:
    return PromptError(FailureKind.BAD_REQUEST, f"The grammar cannot be used: {reason}.")


def _num_remainders(text: str) -> int:
    """The least common multiple of all under "multipleOf": a number may have to be a multiple of each."""
    return math.lcm(*filter(None, (_coefficient(*found) for found in MULTIPLE_OF.findall(text))))


def _coefficient(whole: str, decimals: str, exponent: str) -> int:
    """The number without its decimal point: 0.25 is told by 25 remainders."""
    decimals = decimals.rstrip("0")
    zeros = max(0, int(exponent or 0) - len(decimals))
    return int((whole + decimals)[:MAX_DIGITS] + "0" * min(zeros, MAX_DIGITS))


def _reason(message: str, length: int = 300) -> str:
    """Of a long message the one line that says it: a regex is shown over several, and the fault comes last."""
    faults = [line.removeprefix("error: ") for line in message.splitlines() if line.startswith("error: ")]
    return (faults or [message.partition("\n")[0]])[0][:length].rstrip(".")
