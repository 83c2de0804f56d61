"""Lets an answer end before its tokens do: a token from whose place no end can be reached in time is not taken.

A way to the end is kept all along, so that one is always there to be gone. It is looked for again where it may have
become longer: behind what opens something, and near the end of the budget.
"""

from collections.abc import Iterator

from llguidance import LLMatcher

from backends.llama.grammar_ending import Endings, Way
from backends.llama.grammar_pieces import Pieces

OPENING = frozenset(b"{[,:")  # behind these bytes a way may be much longer than before
NEAR = 32  # tokens between the length of a way and the end of the budget
END = 1  # the token that ends an answer
SHORT = 12  # bytes of a way than which a shorter one is not worth its search
MAX_LOST = 3
CREDIT, CREDIT_PER_TOKEN = 4.0, 0.125  # searches for the very shortest way that an answer may cost


class Budget:
    """One answer's."""

    def __init__(self, endings: Endings, pieces: Pieces, num_tokens: int):
        self._endings = endings
        self._pieces = pieces
        self._left = num_tokens
        self._way: Way | None = None  # the last that was found
        self._is_on_it = False  # it begins where the answer is; else it lies beside, and may be met again
        self._length: int | None = None  # in tokens, of the last way that was found
        self._credit = CREDIT
        self._end = END
        self._num_lost = 0  # how often no end was found that could be reached

    def is_due(self, token: int) -> bool:
        """Whether a way must be looked for behind this token."""
        if self._num_lost >= MAX_LOST or self._endings.is_tired:
            return False
        if self._length is None or self._left - 1 <= self._length + NEAR:
            return True
        text = self._pieces.text(token)
        return not text or not OPENING.isdisjoint(text)

    def allows(self, token: int, before: LLMatcher | None, behind: LLMatcher) -> bool:
        """Whether the answer can still be ended behind the token; books it then. before: None where nothing is due."""
        if before is None:
            self._follow(token)
        elif not self._keeps_an_end(token, before, behind):
            return False
        self._left -= 1
        self._credit += CREDIT_PER_TOKEN
        self._endings.rest_a_little()
        return True

    def way(self, place: LLMatcher) -> list[int] | None:
        """The shortest way to the end that is known here."""
        if not self._is_on_it:
            self._set(next(self._ways(place), None))
        return self._endings.tokens(self._way) if self._way is not None else None

    def _keeps_an_end(self, token: int, before: LLMatcher, behind: LLMatcher) -> bool:
        """Sets the way, if so; else to one that begins before the token."""
        old, was_on_it = self._way, self._is_on_it
        self._follow(token)
        if self._found(behind, self._left - 1 - self._end):
            return True
        self._way, self._is_on_it = old, was_on_it
        if self._found(before, self._left - self._end):
            return False
        if self._end:  # its text can still be whole, if nothing says that it has ended
            self._end = 0
            return self._keeps_an_end(token, before, behind)
        self._num_lost += 1
        return True

    def _follow(self, token: int) -> None:
        rest = self._endings.rest(self._way, token) if self._way is not None and self._is_on_it else None
        self._way, self._is_on_it = (self._way, False) if rest is None else (rest, True)

    def _found(self, place: LLMatcher, num_tokens: int) -> bool:
        """Whether a way from here takes so many tokens at most; sets it."""
        for way in self._ways(place):
            self._length = len(self._endings.tokens(way))
            if self._length <= num_tokens:
                self._set(way)
                return True
        return False

    def _ways(self, place: LLMatcher) -> Iterator[Way]:
        """From here to the end, the shorter the more they cost to find."""
        endings, known = self._endings, self._way
        if known is not None and (way := known if self._is_on_it else endings.joined(known, place)) is not None:
            yield way
        if (way := endings.first(place, self._left)) is not None:
            yield way
            if len(way) <= SHORT:
                return
        if self._credit >= 1:
            self._credit -= 1
            if (way := endings.shortest(place, self._left)) is not None:
                yield way

    def _set(self, way: Way | None) -> None:
        self._way, self._is_on_it = way, way is not None
