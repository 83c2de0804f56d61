"""Numbers as a person reads them. Unknown is "n/a", never 0."""

from backends.protocol import Timings

UNKNOWN = "n/a"


def count(number: int) -> str:
    return f"{number:,}"


def size(num_bytes: int | None) -> str:
    if num_bytes is None:
        return UNKNOWN
    if num_bytes >= 1e9:
        return f"{num_bytes / 1e9:.1f} GB"
    if num_bytes >= 1e6:
        return f"{num_bytes / 1e6:.0f} MB"
    return f"{num_bytes / 1e3:.0f} kB"


def rate(per_second: float | None) -> str:
    if per_second is None:
        return UNKNOWN
    return f"{per_second:.0f} tok/s" if per_second >= 100 else f"{per_second:.1f} tok/s"


def seconds(milliseconds: float) -> str:
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"


def parameters(number: int) -> str:
    if number >= 1e9:
        return f"{number / 1e9:.1f} B"
    if number >= 1e6:
        return f"{number / 1e6:.1f} M"
    return count(number) if number else UNKNOWN


def drafting(timings: Timings) -> str:
    return f"{timings.draft_accepted_n} of {timings.draft_n} guesses kept"


def summary(timings: Timings) -> str:
    """One answer's account in a line; what did not happen is left out."""
    parts = ["1 token" if timings.predicted_n == 1 else f"{count(timings.predicted_n)} tokens"]
    if timings.predicted_n > 1 and timings.predicted_ms:
        parts.append(rate(timings.predicted_per_second))
    parts.append(f"first token {seconds(timings.first_token_ms)}")
    if timings.cache_n:
        parts.append(f"{count(timings.cache_n)} of {count(timings.cache_n + timings.prompt_n)} prompt tokens reused")
    if timings.draft_n:
        parts.append(drafting(timings))
    return "  ·  ".join(parts)
