"""How many prompt tokens may join a step of answers, so that nobody who reads along notices a prompt arrive.

What a chunk costs is not known beforehand: it has a part that every chunk costs and one per token, and both grow with
the depth of the context. So the size follows what the last chunk took: n times target over taken comes to rest where
a chunk takes the target, whatever the two parts are.
"""

MAX_STALL = 4.0  # a step with a prompt in it may take so many times as long as one without
AIM = 0.7  # of it, because steps of one size differ
MIN_CHUNK, FIRST_CHUNK = 4, 16
SHRINK, GROW = 0.5, 1.25  # at most, from one step to the next


class Pace:
    """The size of chunks beside answers, in tokens."""

    def __init__(self) -> None:
        self._tokens = float(FIRST_CHUNK)

    @property
    def chunk(self) -> int:
        return max(MIN_CHUNK, int(self._tokens))

    def observe(self, num_tokens: int, seconds: float, answers_seconds: float) -> None:
        """A step with so many prompt tokens took so long, and would have taken `answers_seconds` without them."""
        factor = AIM * MAX_STALL * answers_seconds / seconds
        if num_tokens >= self.chunk or factor * num_tokens > self._tokens:  # a prompt's end says little
            self._tokens = max(MIN_CHUNK, self._tokens * min(max(factor, SHRINK), GROW))
