"""Which tokens an answer's texts are made of, where thoughts and calls lie between them. Knows no shape of an API."""

from collections import deque
from collections.abc import Iterable

from app.server.openai.logprobs import Ruler
from backends.protocol import Arguments, CallBegun, Part, TokenLogprob


class TextLogprobs:
    """Tokens come with what they say or before it, and all that is said is, in its order, what they say."""

    def __init__(self) -> None:
        self._ruler = Ruler()
        self._tokens: deque[tuple[int, TokenLogprob]] = deque()  # each with the character that it begins at
        self._end = 0  # of what was said

    def add(self, tokens: Iterable[TokenLogprob]) -> None:
        self._tokens.extend((self._ruler.offset(token.piece), token) for token in tokens)

    def of(self, part: Part) -> list[TokenLogprob]:
        """Those that begin within this part of the answer."""
        if isinstance(part, CallBegun | Arguments):  # a call's own words come once more, with its end
            return []
        self._end += len(part.text)
        taken = []
        while self._tokens and self._tokens[0][0] < self._end:
            taken.append(self._tokens.popleft()[1])
        return taken
