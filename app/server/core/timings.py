"""An answer's account as our own `timings` object, with llama-server's words where it has some."""

import time
from dataclasses import dataclass, replace
from typing import Any

from backends.protocol import Output, Progress, Timings


@dataclass(slots=True)
class SoFar:
    """What of an answer has been said before its end, where its engine gives the account. begun: on the clock of
    time.perf_counter."""

    num_said: int = 0
    begun: float | None = None

    def take(self, output: Output) -> None:
        self.num_said += output.num_tokens
        self.begun = self.begun or time.perf_counter()

    def account(self, first: Timings) -> Timings:
        """first: as the engine told with the first token."""
        now = time.perf_counter()
        return replace(first, predicted_n=self.num_said, predicted_ms=1000 * (now - (self.begun or now)))


def timings_object(timings: Timings) -> dict[str, Any]:
    return {
        "prompt_n": timings.prompt_n,
        "cache_n": timings.cache_n,
        "cache_tier": {
            "resident": timings.cache_resident_n,
            "ram": timings.cache_ram_n,
            "disk": timings.cache_disk_n,
        },
        "cache_miss": {"reason": timings.cache_miss, "message": timings.cache_miss_text}
        if timings.cache_miss
        else None,
        "predicted_n": timings.predicted_n,
        "rolled_n": timings.rolled_n,
        "draft_n": timings.draft_n,
        "draft_accepted_n": timings.draft_accepted_n,
        "prompt_ms": round(timings.prompt_ms, 3),
        "prompt_per_second": round(timings.prompt_per_second, 3),
        "predicted_ms": round(timings.predicted_ms, 3),
        "predicted_per_second": round(timings.predicted_per_second, 3),
    }


def progress_object(progress: Progress) -> dict[str, Any]:
    """As llama-server's `prompt_progress`, of a prompt whose reading has begun."""
    return {
        "total": progress.num_prompt,
        "cache": progress.num_cached,
        "processed": progress.num_read,
        "time_ms": round(progress.milliseconds),
    }
