"""What an answer has cost, in OpenAI's words."""

from typing import Any

from backends.protocol import Timings


def usage(timings: Timings, num_thought: int) -> dict[str, Any]:
    """What the port has no kind of is 0, as with OpenAI; drafts are told in `timings`."""
    num_prompt = timings.prompt_n + timings.cache_n
    return {
        "prompt_tokens": num_prompt,
        "completion_tokens": timings.predicted_n,
        "total_tokens": num_prompt + timings.predicted_n,
        "prompt_tokens_details": {"cached_tokens": timings.cache_n, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": num_thought,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
