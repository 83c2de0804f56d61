"""What an answer has cost, in OpenAI's words, and beside them our own `timings`."""

from typing import Any

from backends.protocol import Timings


def usage(timings: Timings) -> dict[str, Any]:
    """What the port has no kind of is 0, as with OpenAI; drafts are told in `timings`."""
    num_prompt = timings.prompt_n + timings.cache_n
    return {
        "prompt_tokens": num_prompt,
        "completion_tokens": timings.predicted_n,
        "total_tokens": num_prompt + timings.predicted_n,
        "prompt_tokens_details": {"cached_tokens": timings.cache_n, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


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
        "predicted_ms": round(timings.predicted_ms, 3),
        "predicted_per_second": round(timings.predicted_per_second, 3),
    }
