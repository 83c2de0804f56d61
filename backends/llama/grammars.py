"""A model's grammars. What compiles them is imported for the first one: most models never meet any."""

import threading
from typing import TYPE_CHECKING

from backends.llama.vocabulary import NativeVocabulary
from backends.protocol import Grammar
from backends.sandbox.sandbox import Sandbox

if TYPE_CHECKING:
    from backends.llama.grammar import GrammarCompiler, Matcher


class GrammarError(Exception):
    """The grammar gave out in the middle of an answer: too ambiguous to follow, or without a way on."""


class Grammars:
    """Thread-safe."""

    def __init__(self, vocabulary: NativeVocabulary, ends: frozenset[int]):
        self._vocabulary = vocabulary
        self._ends = ends
        self._compiler: GrammarCompiler | None = None
        self._making = threading.Lock()  # two encoders may both be the first to need it

    def is_known(self, grammar: Grammar) -> bool:
        """Whether `compile` needs no sandbox, and no time to speak of."""
        return not self._ends or (self._compiler is not None and self._compiler.is_known(grammar))

    def compile(self, grammar: Grammar, sandbox: Sandbox, budget: int) -> "Matcher":
        """budget: tokens that the answer may have. Raises PromptError for a grammar that cannot be read, or is too
        large, or blows up at its beginning."""
        with self._making:
            if self._compiler is None:
                from backends.llama.grammar import GrammarCompiler

                self._compiler = GrammarCompiler(self._vocabulary, self._ends)
        return self._compiler.compile(grammar, sandbox, budget)
