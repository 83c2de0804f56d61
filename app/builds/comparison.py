"""Whether a build is as good as the one before, from what both did with the same prompt. Pure."""

from backends.build_report import Canary

SLOWER = 0.9  # of the speed before
SAME_TOKENS = 0.9  # of the places: quantized kernels differ where two tokens are nearly as likely
MOST_ERROR = 0.05  # mean square of the logits' differences over that of the logits; sound builds stay below 0.005


def wrong(new: Canary, old: Canary) -> str | None:
    """What is wrong with its results, as the end of “it …”."""
    if len(new.tokens) != len(old.tokens) or len(new.logits) != len(old.logits):
        return "computes something else"
    same = sum(one == other for one, other in zip(new.tokens, old.tokens, strict=True))
    if same < SAME_TOKENS * len(old.tokens):
        return f"chooses other tokens at {len(old.tokens) - same} of {len(old.tokens)} places"
    error = _error(new, old)
    return None if error <= MOST_ERROR else f"computes results that differ by {error**0.5:.0%}"


def slower(new: Canary, old: Canary) -> str | None:
    """By what it is slower, as the end of “it …”; a speed that was not measured counts as none."""
    speeds = (
        ("answers at", new.predicted_per_second, old.predicted_per_second),
        ("reads prompts at", new.prompt_per_second, old.prompt_per_second),
    )
    for does, now, before in speeds:
        if before and now < SLOWER * before and (now or does == "answers at"):
            return f"{does} {now:.4g} tokens/s where the other does {before:.4g}"
    return None


def _error(new: Canary, old: Canary) -> float:
    """NaN, too, is more than the most."""
    power = sum(value * value for value in old.logits)
    error = sum((one - other) ** 2 for one, other in zip(new.logits, old.logits, strict=True))
    share = error / power if power else float("inf")
    return share if share == share else float("inf")
