"""What an exchange has come to, in counts and times. Knows no text."""

import time
from dataclasses import dataclass, field
from enum import StrEnum

from backends.embedding import Embedded, Ranked
from backends.protocol import Output


class Phase(StrEnum):
    """What a request for text is at."""

    LOADING = "loading"  # its model is not there yet
    WAITING = "waiting"  # for its turn
    READING = "reading"  # its prompt
    ANSWERING = "answering"


@dataclass(slots=True)
class Tally:
    """Belongs to the server's loop; others may read single values. began: of the answer, on the monotonic clock.
    num_tokens: sampled. num_prompt: of the prompts that have been read."""

    num_tokens: int = 0
    began: float | None = None
    num_begun: int = 0  # tokens that had come by then
    is_stopped: bool = False  # by the person, whatever came
    _prompts: dict[int, int] = field(default_factory=dict)  # their tokens, by the answer's uid

    @property
    def num_prompt(self) -> int:
        return sum(self._prompts.values())

    def take(self, output: Output) -> None:
        """With every step: a sum, and little else."""
        self.num_tokens += output.num_tokens
        if self.began is None:
            self.began, self.num_begun = time.monotonic(), self.num_tokens
        if output.timings:  # with the first, and with the last
            self._prompts[output.uid] = output.timings.prompt_n + output.timings.cache_n

    def take_vectors(self, made: Embedded | Ranked) -> None:
        self._prompts[made.uid] = made.num_tokens

    def per_second(self, now: float) -> float | None:
        """Tokens, since the first came; None before the second."""
        num_later = self.num_tokens - self.num_begun
        seconds = now - self.began if self.began is not None else 0.0
        return num_later / seconds if num_later > 0 and seconds > 0 else None
