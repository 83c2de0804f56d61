"""Log probabilities wait for the text of their tokens: of what a stop string cuts off, nothing is told."""

from collections import deque

from backends.engine.text import TextStream
from backends.protocol import TokenLogprob


class Logprobs:
    """Of one answer. A token that a stop string cuts in two is told, for a part of it is shown."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[TokenLogprob, int, int]] = deque()  # from which to which character of the answer

    def add(self, logprob: TokenLogprob, begin: int, end: int) -> None:
        self._waiting.append((logprob, begin, end))

    def take(self, text: TextStream) -> tuple[TokenLogprob, ...]:
        """Those whose text was released; once it has stopped, those of which a part was."""
        taken = []
        while self._waiting:
            logprob, begin, end = self._waiting[0]
            if (begin >= text.num_released) if text.stopped else (end > text.num_released):
                break
            taken.append(logprob)
            self._waiting.popleft()
        return tuple(taken)

    def take_rest(self) -> tuple[TokenLogprob, ...]:
        """At the end of an answer that nothing has cut."""
        rest = tuple(logprob for logprob, _, _ in self._waiting)
        self._waiting.clear()
        return rest
