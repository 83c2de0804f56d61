"""Holds an answer to a grammar: one token is checked at a time, and the whole vocabulary only after a refusal.

llguidance does the parsing. A grammar is tried in a sandbox first; what that says of its text is remembered. Limits
that are counts of work hold in the answer, too, and one that still costs too much time is ended.
"""

import threading
import time
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from llguidance import LLMatcher, LLTokenizer

from backends.bounds import MAX_REASON, sentence
from backends.engine.runner import PromptError
from backends.llama.binding import lib
from backends.llama.candidates import Ids
from backends.llama.grammar_budget import Budget
from backends.llama.grammar_ending import Endings
from backends.llama.grammar_faults import reason_of
from backends.llama.grammar_manner import Manner
from backends.llama.grammar_pieces import Pieces
from backends.llama.grammar_source import INLINE_JSON, WHOLE_JSON
from backends.llama.grammar_trial import (
    LIMITS,
    VOCABULARY,
    TryGrammar,
    Vocabulary,
    is_dead_end,
)
from backends.llama.grammars import GrammarError
from backends.llama.verdicts import Verdict, Verdicts
from backends.llama.vocabulary import NativeVocabulary
from backends.protocol import FailureKind, Grammar
from backends.sandbox.job import Fault
from backends.sandbox.sandbox import Sandbox

# seconds of the step thread that an answer's grammar may take: the other streams wait for it
PATIENCE, PATIENCE_PER_TOKEN = 1.0, 0.05
MAX_REFUSED = 3  # tokens that the grammar allows at one place, before the shortest way to its end is gone


@dataclass(frozen=True, slots=True)
class Holding:
    """What an answer is held to beside its grammar. budget: tokens that it may have, the one that ends it included."""

    pieces: Pieces
    endings: Endings
    manner: Manner | None
    budget: int


class Matcher:
    """One answer's place in its grammar. It moves on by the tokens it takes, and never back."""

    def __init__(self, matcher: LLMatcher, ends: Sequence[int], holding: Holding | None = None):
        self._matcher = matcher
        self._ends = ends
        self._patience = PATIENCE
        self._manner = holding.manner if holding else None
        self._budget = Budget(holding.endings, holding.pieces, holding.budget) if holding else None
        # what the model would have said was refused, because its end would come too late; where the answer could end
        # as it was, what would have come behind it was refused, and nothing of it was cut
        self.is_hurried = False
        self._refused: list[int] = []  # at this place, though the grammar allows them

    def take(self, token: int) -> bool:
        """False when the token may not stand here. Raises GrammarError."""
        if token in self._ends:
            return self._matcher.is_accepting()
        with self._losing_patience():
            is_taken = self._is_allowed(token)
        self._check()
        self._patience += PATIENCE_PER_TOKEN * is_taken
        return is_taken

    def allowed(self) -> Ids:
        """All tokens that may come here, the ends only where the grammar is fulfilled. Raises GrammarError."""
        if self._matcher.is_stopped():
            self._check()
            return np.array(self._ends, np.intp)
        if self._budget and len(self._refused) > MAX_REFUSED:
            way = self._budget.way(self._matcher)
            if way is not None:
                return np.array(way[:1] or self._ends, np.intp)
        with self._losing_patience():
            bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        self._check()
        ids = self._chosen(np.flatnonzero(np.unpackbits(bits, bitorder="little")))
        if not ids.size:
            raise GrammarError("The grammar allows no token of this model here.")
        return ids

    def _is_allowed(self, token: int) -> bool:
        """Whether it was taken."""
        place, manner, budget = self._matcher, self._manner, self._budget
        is_ours_to_refuse = manner and len(self._refused) <= MAX_REFUSED and place.validate_tokens([token])
        if manner and is_ours_to_refuse and not manner.allows(place, token):
            self._refused.append(token)
            return False
        before = place.deep_copy() if budget and budget.is_due(token) else None
        if place.try_consume_tokens([token]) != 1:
            return False
        if budget and not budget.allows(token, before, place):
            assert before
            self._matcher = before
            self.is_hurried |= not before.is_accepting()
            self._refused.append(token)
            return False
        if manner:
            manner.note(token)
        self._refused.clear()
        return True

    def _chosen(self, ids: Ids) -> Ids:
        """Without those that the grammar allows and we do not, if any are left then."""
        excluded = self._manner.excluded(self._matcher) if self._manner else None
        chosen = ids[~excluded[ids]] if excluded is not None else ids
        if self._refused:
            chosen = chosen[~np.isin(chosen, self._refused)]
        return chosen if chosen.size else ids

    @contextmanager
    def _losing_patience(self) -> Iterator[None]:
        begin = time.thread_time()  # a busy machine is not the grammar's fault
        yield
        self._patience -= time.thread_time() - begin
        if self._patience < 0:
            raise GrammarError("The grammar takes too long to follow: the other answers would wait for it.")

    def _check(self) -> None:
        if self._matcher.is_error():
            if is_dead_end(self._matcher):
                raise GrammarError("The grammar allows no token of this model here.")
            reason = sentence(reason_of(self._matcher.get_error()), MAX_REASON).rstrip(".")
            raise GrammarError(f"The grammar cannot be followed: {reason}.")


class GrammarCompiler:
    """Makes matchers for one model. Its view of the vocabulary is made for the first grammar (a second for 262k)."""

    def __init__(self, vocabulary: NativeVocabulary, ends: frozenset[int]):
        self._native = vocabulary
        self._ends = sorted(ends)
        self._verdicts = Verdicts()
        self._vocabulary: Vocabulary | None = None
        self._tokenizer: LLTokenizer | None = None
        self._pieces: Pieces | None = None
        self._making = threading.Lock()  # two encoders may both be the first to need it

    def is_known(self, grammar: Grammar) -> bool:
        """Whether `compile` needs no sandbox, and no time to speak of."""
        return not self._ends or self._verdicts.get(grammar) is not None

    def compile(self, grammar: Grammar, sandbox: Sandbox, budget: int) -> Matcher:
        """budget: tokens that the answer may have. Raises PromptError for a grammar that cannot be read, or is too
        large, or blows up at its beginning."""
        if not self._ends:
            raise _refusal("this model has no token that ends an answer")
        verdict = self._verdicts.get(grammar) or self._try(grammar, sandbox)
        if verdict.reason:
            raise _refusal(verdict.reason)
        # without the interpreter's lock, and in no longer than the trial took
        native = LLMatcher(self._native_tokenizer(), verdict.source, log_level=0, limits=LIMITS)
        if native.is_error():
            raise _refusal(sentence(reason_of(native.get_error()), MAX_REASON).rstrip("."))
        return Matcher(native, self._ends, self._holding(verdict.source, budget))

    def _holding(self, source: str, budget: int) -> Holding:
        pieces = self._pieces
        assert pieces, "its grammar has been compiled"
        assert self._tokenizer
        manner = Manner(pieces, is_json=source.startswith(WHOLE_JSON)) if INLINE_JSON in source else None
        return Holding(pieces, Endings(source, pieces, self._tokenizer), manner, budget)

    def _try(self, grammar: Grammar, sandbox: Sandbox) -> Verdict:
        if self._tokenizer is None:  # while the sandbox makes its own
            threading.Thread(target=self._native_tokenizer, name="vocabulary", daemon=True).start()
        try:
            verdict = Verdict(source=sandbox.run(TryGrammar(grammar), **{VOCABULARY: self._known_vocabulary}))
        except Fault as fault:
            if fault.is_ours:
                sentence = f"The engine could not read the grammar: {fault}. Try again in a moment."
                raise PromptError(FailureKind.UNAVAILABLE, sentence) from None
            verdict = Verdict(reason=str(fault), is_final=fault.is_final)
        self._verdicts.add(grammar, verdict)
        return verdict

    def _known_vocabulary(self) -> Vocabulary:
        with self._making:
            if self._vocabulary is None:
                self._vocabulary = vocabulary_of(self._native, self._ends)
            return self._vocabulary

    def _native_tokenizer(self) -> LLTokenizer:
        """Made under the interpreter's lock: 0.1 s for 49k tokens, 0.6 s for 262k, once in the engine's life."""
        vocabulary = self._known_vocabulary()
        with self._making:
            if self._tokenizer is None:
                self._pieces = Pieces(vocabulary.pieces())
                self._tokenizer = vocabulary.unpack()
            return self._tokenizer


def vocabulary_of(native: NativeVocabulary, ends: list[int]) -> Vocabulary:
    """All pieces as llama.cpp spells them; a control token's begins with a byte that no text has."""
    sizes, pieces = array("I"), []
    for token in range(native.num_tokens):
        piece = native.piece(token, special=True)
        attributes = lib.llama_vocab_get_attr(native.pointer, token)
        is_marker = piece.startswith(b"<") and piece.endswith(b">")
        if attributes & lib.LLAMA_TOKEN_ATTR_CONTROL or (attributes & lib.LLAMA_TOKEN_ATTR_USER_DEFINED and is_marker):
            piece = b"\xff" + piece
        sizes.append(len(piece))
        pieces.append(piece)
    return Vocabulary(b"".join(pieces), sizes, ends)


def _refusal(reason: str) -> PromptError:
    return PromptError(FailureKind.BAD_REQUEST, f"The grammar cannot be used: {reason}.", "grammar")
