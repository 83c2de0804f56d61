"""What the port's answers have cost since it was opened, by model. Belongs to the server's loop."""

import time
from collections import defaultdict
from dataclasses import dataclass

from backends.protocol import Timings

MAX_MODELS = 256  # a name more is counted with the others
OTHERS = "(others)"


@dataclass(slots=True)
class Totals:
    """Of answers that have ended. Tokens, and milliseconds."""

    num_answers: int = 0
    prompt_n: int = 0
    cache_n: int = 0
    prompt_ms: float = 0.0
    predicted_n: int = 0
    predicted_ms: float = 0.0
    draft_n: int = 0
    draft_accepted_n: int = 0
    longest: int = 0  # prompt and answer

    def add(self, timings: Timings) -> None:
        self.num_answers += 1
        self.prompt_n += timings.prompt_n
        self.cache_n += timings.cache_n
        self.prompt_ms += timings.prompt_ms
        self.predicted_n += timings.predicted_n
        self.predicted_ms += timings.predicted_ms
        self.draft_n += timings.draft_n
        self.draft_accepted_n += timings.draft_accepted_n
        self.longest = max(self.longest, timings.prompt_n + timings.cache_n + timings.predicted_n)


class Tally:
    def __init__(self) -> None:
        self.began = time.time()
        self.totals: defaultdict[str, Totals] = defaultdict(Totals)

    def add(self, model: str, timings: Timings) -> None:
        self.of(model).add(timings)

    def add_texts(self, model: str, num_tokens: int) -> None:
        """Of which vectors or scores were made."""
        self.of(model).prompt_n += num_tokens

    def of(self, model: str) -> Totals:
        return self.totals[model if model in self.totals or len(self.totals) < MAX_MODELS else OTHERS]
