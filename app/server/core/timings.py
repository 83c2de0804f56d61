"""An answer's account as our own `timings` object, with llama-server's words where it has some."""

from typing import Any

from backends.protocol import Progress, Timings


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
