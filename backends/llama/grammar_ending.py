"""The shortest way that can be found from a place in a grammar to its end. Knows llguidance, and no request.

The parser does not say how far its end is, so ways are walked on copies of it, byte by byte: what closes something
comes first, then what was written least of late, which leads out of loops. A copy takes 4 µs, a look at a byte 1 µs.
"""

import json
import math
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
from llguidance import LLMatcher, LLTokenizer

from backends.llama.grammar_pieces import Pieces

QUOTE = b'"'  # ends a text
CLOSERS = b'}]",:'  # elsewhere
OTHERS = b"0-.@/_+>)('<;=*#&%$!?|\\~^`[123456789aeonrtfuslTFNZ{"
BLANKS = b" \n\t\r"  # only where nothing else is possible
BYTES_PER_TOKEN = 8  # of a way at most: names and marks are written with long tokens
MAX_WAY = 4096  # bytes: each may be a state of the lexer, which has 50,000 for the answer and all ways together
PATIENCE, PATIENCE_PER_TOKEN = 0.3, 0.01  # seconds of the step thread that an answer's ways may take
MAX_LOOKS = 20_000  # at bytes, for a way that is shorter than the first one found
MASK_LOOKS = 50  # that all of them cost at once
MAX_BESIDE = 64  # bytes of a way after which it is not met again
MARKER = re.compile(r"<\[(\d+)\]>")
SUFFIX = re.compile(r'\[suffix=("(?:[^"\\]|\\.)*")')
LETTERS = b"zq"  # stand in texts alone
REPEAT = re.compile(r"\{(\d{1,10})(?:,\d*)?\}|~\s*(\d{1,10})")
MAX_REPEATS = (
    1000  # of one thing: the parser would write all of what is forced at one go, a state of the lexer for each
)
FREE = b"zqJ "  # where all of these may follow, anything may

Way = list[int]  # tokens of one byte each, and markers


class Endings:
    """Of one grammar. source: as llguidance has it."""

    def __init__(self, source: str, pieces: Pieces, tokenizer: LLTokenizer):
        self._pieces, self._tokenizer = pieces, tokenizer
        tokens = pieces.of_byte
        markers = dict.fromkeys(map(int, MARKER.findall(source)))
        self._closers = [*markers, *_known(tokens, CLOSERS)]
        signs = dict.fromkeys((*OTHERS, *filter(lambda byte: byte not in BLANKS, range(256)), *BLANKS))
        self._others = _known(tokens, signs)
        self._signs = [*markers, *_known(tokens, filter(lambda byte: byte not in BLANKS, signs))]
        self._quote = [*markers, *_known(tokens, QUOTE)]
        self._letters = _known(tokens, LETTERS)
        self._free = _known(tokens, FREE)
        self._suffixes = [_known(tokens, json.loads(text).encode()) for text in dict.fromkeys(SUFFIX.findall(source))]
        self._can_force = _most_repeats(source) <= MAX_REPEATS
        self._looks = 0
        self._patience = PATIENCE

    @property
    def is_tired(self) -> bool:
        """The ways of this grammar take too long: no more are found."""
        return self._patience < 0

    def rest_a_little(self) -> None:
        """The answer is a token longer."""
        self._patience += PATIENCE_PER_TOKEN

    def first(self, place: LLMatcher, num_tokens: int) -> Way | None:
        """A way to the end, mostly short. None: none was found that so many tokens may be enough for."""
        most = min(BYTES_PER_TOKEN * num_tokens, MAX_WAY)
        ways = (self._walk(place, closers, most) for closers in (self._closers, self._quote))
        return next(filter(lambda way: way is not None, ways), None)

    def shortest(self, place: LLMatcher, num_tokens: int) -> Way | None:
        """The shortest of many: at each step of it, all other bytes were tried, too."""
        self._looks = MAX_LOOKS
        if (best := self.first(place, num_tokens)) is None:
            return None
        place, at = place.deep_copy(), 0
        while at < len(best) and self._looks > 0 and not self.is_tired:
            with self._losing_patience():
                others = self._alternatives(place, best[at])
            for other in others:
                if self._looks < 0 or self.is_tired:
                    break
                branch = place.deep_copy()
                branch.try_consume_tokens([other])
                if (rest := self.first(branch, num_tokens)) is not None and at + 1 + len(rest) < len(best):
                    best = [*best[:at], other, *rest]
            place.try_consume_tokens([best[at]])
            at += 1
        return best

    def tokens(self, way: Way) -> list[int]:
        """The way in as few tokens as it takes, or nearly."""
        tokens: list[int] = []
        text = b""
        for step in (*way, None):
            piece = b"" if step is None else self._pieces.text(step)
            text += piece
            if not piece:
                tokens += self._spelled(text)
                text = b""
                tokens += [] if step is None else [step]
        return tokens

    def rest(self, way: Way, token: int) -> Way | None:
        """What is left of the way behind the token. None: it does not lie on the way."""
        text = self._pieces.text(token)
        if not text:
            return way[1:] if way and way[0] == token else None
        end = len(text)
        return way[end:] if b"".join(map(self._pieces.text, way[:end])) == text else None

    def joined(self, way: Way, place: LLMatcher) -> Way | None:
        """The part of the way that leads to the end from this place, too, which lies beside it. Quicker than to look
        for another way, and mostly found: within a text what closes it stays the same."""
        for begin in range(min(len(way), MAX_BESIDE)):
            part = way[begin:]
            if place.validate_tokens(part) == len(part):
                end = place.deep_copy()
                if end.try_consume_tokens(part) == len(part) and end.is_accepting():
                    return part
        return None

    def _walk(self, place: LLMatcher, closers: list[int], most: int) -> Way | None:
        way: Way = []
        place, others, suffixes = place.deep_copy(), self._others.copy(), self._suffixes.copy()
        while not place.is_accepting():
            if place.is_stopped() or len(way) > most or self.is_tired:
                return None
            with self._losing_patience():
                steps = self._forced(place) or self._next(place, closers, others, suffixes)
                if not steps or place.try_consume_tokens(steps) != len(steps):
                    return None
            way += steps
        return way

    @contextmanager
    def _losing_patience(self) -> Iterator[None]:
        begin = time.thread_time()  # a busy machine is not the grammar's fault
        try:
            yield
        finally:
            self._patience -= time.thread_time() - begin

    def _forced(self, place: LLMatcher) -> list[int]:
        if not self._can_force:
            return []
        text = place.compute_ff_bytes()
        tokens = _known(self._pieces.of_byte, text)
        return tokens if len(tokens) == len(text) else []

    def _next(
        self, place: LLMatcher, closers: list[int], others: list[int], suffixes: list[list[int]]
    ) -> list[int] | None:
        """others: by when each was written last; the one that comes now goes to their end."""
        is_text = self._is_text(place)
        for token in self._quote if is_text else closers:
            if self._is_possible(place, token):
                return [token]
        if is_text and suffixes and all(self._is_possible(place, token) for token in self._free):
            return suffixes.pop(0)
        for token in others:
            if self._is_possible(place, token):
                others.remove(token)
                others.append(token)
                return [token]
        return None

    def _alternatives(self, place: LLMatcher, chosen: int) -> list[int]:
        """Of what may be written here in place of what was chosen: none in a text, where it makes no difference."""
        if self._forced(place) or self._is_text(place):
            return []
        self._looks -= MASK_LOOKS
        bits = np.unpackbits(np.frombuffer(place.compute_bitmask(), np.uint8), bitorder="little")
        return [token for token in self._signs if token != chosen and bits[token]]

    def _is_text(self, place: LLMatcher) -> bool:
        return any(self._is_possible(place, token) for token in self._letters)

    def _is_possible(self, place: LLMatcher, token: int) -> bool:
        self._looks -= 1
        return place.validate_tokens([token]) == 1

    def _spelled(self, text: bytes) -> Iterator[int]:
        """Bytes that go on with a character begun before stand by themselves."""
        begin = next((at for at, byte in enumerate(text) if byte & 0xC0 != 0x80), len(text))
        yield from _known(self._pieces.of_byte, text[:begin])
        yield from self._tokenizer.greedy_tokenize(text[begin:].decode("utf-8", "replace"))


def _known(tokens: dict[int, int], text: Iterable[int]) -> list[int]:
    return [tokens[byte] for byte in text if byte in tokens]


def _most_repeats(source: str) -> int:
    """How often a thing must at least come, where repeats may stand in repeats. Each text and line is for itself."""
    parts = (REPEAT.findall(part) for part in re.split(r'["\n]', source))
    return max(math.prod(int(braces or tilde) or 1 for braces, tilde in counts) for counts in parts)
