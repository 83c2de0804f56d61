"""Numbers as a person reads them. Unknown is "n/a", never 0."""

from backends.protocol import CacheMiss, Drafting, DraftSource, Timings

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
    return f"{timings.draft_accepted_n} of {timings.draft_n} drafts accepted"


def sources(drafting: Drafting) -> list[str]:
    """Where drafts came from so far and how they did, a line each; and what decides whether they pay."""
    if not drafting.sources:
        return ["off"]
    lines = [_source(source) for source in drafting.sources if source.num_checked] or ["nothing drafted yet"]
    if drafting.pair_cost is not None:
        lines.append(f"Two tokens in one step take {drafting.pair_cost:.2f} times as long as one")
    return lines


def _source(source: DraftSource) -> str:
    kind, _, size = source.name.partition(" of ")
    name = f"Lookup in the text, {size} tokens match" if kind == "lookup" else source.name.capitalize()
    cost = f", {1000 * source.seconds:.1f} ms a draft token" if source.seconds else ""
    return f"{name}: {source.acceptance:.0%} of draft tokens accepted{cost}"


def reuse(timings: Timings) -> str:
    tiers = ((timings.cache_ram_n, "from RAM"), (timings.cache_disk_n, "from disk"))
    how = next((words for tokens, words in tiers if tokens), "reused")
    return f"{count(timings.cache_n)} of {count(timings.cache_n + timings.prompt_n)} prompt tokens {how}"


def loss(timings: Timings) -> str:
    """Why not more of the prompt was reused, where something was lost; a new text is no loss."""
    if timings.cache_miss in (None, CacheMiss.NEW_TEXT, CacheMiss.NO_EARLIER_PROMPT):
        return ""
    return f"Not all of the prompt was reused: {timings.cache_miss_text}."


def summary(timings: Timings) -> str:
    """One answer's account in a line; what did not happen is left out."""
    parts = ["1 token" if timings.predicted_n == 1 else f"{count(timings.predicted_n)} tokens"]
    if timings.predicted_n > 1 and timings.predicted_ms:
        parts.append(rate(timings.predicted_per_second))
    parts.append(f"first token {seconds(timings.first_token_ms)}")
    if timings.cache_n:
        parts.append(reuse(timings))
    if timings.draft_n:
        parts.append(drafting(timings))
    return "  ·  ".join(parts)
