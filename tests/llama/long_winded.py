"""A model that knows only what it would rather write, on a vocabulary of bytes and a few words."""

import random
from array import array
from collections.abc import Sequence

from llguidance import LLMatcher

from backends.llama.grammar import Holding, Matcher
from backends.llama.grammar_ending import Endings
from backends.llama.grammar_manner import Manner
from backends.llama.grammar_pieces import Pieces
from backends.llama.grammar_source import INLINE_JSON, WHOLE_JSON, source_of
from backends.llama.grammar_trial import LIMITS, Vocabulary
from backends.protocol import Grammar

WORDS = (b'{"', b'": ', b'", "', b'"}', b"  ", b"    ", b"\n  ", b"000", b"999", b"abc", b" the", b"]}", b"}}")
END = 256


class Words:
    def __init__(self, *markers: str):
        texts = [bytes([byte]) for byte in range(256)] + [b"\xff</s>", *WORDS]
        self.markers = {text: len(texts) + at for at, text in enumerate(markers)}
        self.texts = [*texts, *(b"\xff" + text.encode() for text in markers)]
        self.pieces = Pieces(self.texts)
        sizes = array("I", map(len, self.texts))
        self.tokenizer = Vocabulary(b"".join(self.texts), sizes, [END]).unpack()


PLAIN = Words()


def written(
    grammar: Grammar, budget: int, wishes: Sequence[bytes], seed: int = 0, words: Words = PLAIN
) -> tuple[str, bool]:
    """What it writes in so many tokens, and whether it came to an end. wishes: written wherever they are allowed, but
    for now and then; never the end, where anything else is possible."""
    matcher = held(grammar, budget, words)
    rng, text = random.Random(seed), b""
    wanted = [words.texts.index(wish) for wish in wishes]
    for _ in range(budget):
        token = _next(matcher, wanted, rng)
        if token == END:
            return text.decode(), True
        text += words.texts[token].removeprefix(b"\xff")
    return text.decode(errors="replace"), False


def held(grammar: Grammar, budget: int, words: Words = PLAIN) -> Matcher:
    """At the begin of an answer of at most so many tokens."""
    source = source_of(grammar)
    native = LLMatcher(words.tokenizer, source, log_level=0, limits=LIMITS)
    assert not native.is_error(), native.get_error()
    manner = Manner(words.pieces, source.startswith(WHOLE_JSON)) if INLINE_JSON in source else None
    endings = Endings(source, words.pieces, words.tokenizer)
    return Matcher(native, [END], Holding(words.pieces, endings, manner, budget))


def _next(matcher: Matcher, wanted: Sequence[int], rng: random.Random) -> int:
    for token in wanted:
        if rng.random() < 0.9 and matcher.take(token):
            return token
    while True:
        ids = [int(token) for token in matcher.allowed()]
        token = rng.choice([token for token in ids if token != END] or ids)
        if matcher.take(token):
            return token
