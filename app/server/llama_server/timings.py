"""An answer's account as llama-server gives it: numbers alone, and none of them missing."""

from typing import Any

from backends.protocol import Timings


def timings_object(timings: Timings) -> dict[str, Any]:
    num_intervals = max(0, timings.predicted_n - 1)  # the first token comes with the prompt
    said: dict[str, Any] = {
        "cache_n": timings.cache_n,
        "prompt_n": timings.prompt_n,
        "prompt_ms": timings.prompt_ms,
        "prompt_per_token_ms": timings.prompt_ms / timings.prompt_n if timings.prompt_n else 0.0,
        "prompt_per_second": timings.prompt_per_second,
        "predicted_n": timings.predicted_n,
        "predicted_ms": timings.predicted_ms,
        "predicted_per_token_ms": timings.predicted_ms / num_intervals if num_intervals else 0.0,
        "predicted_per_second": timings.predicted_per_second,
    }
    if timings.draft_n:
        said |= {"draft_n": timings.draft_n, "draft_n_accepted": timings.draft_accepted_n}
    return said
