"""One answer's account, and why the prefix cache did not hold more of its prompt."""

from dataclasses import dataclass
from enum import StrEnum


class CacheMiss(StrEnum):
    """Why the prefix cache did not hold the whole prompt."""

    NO_EARLIER_PROMPT = "no_earlier_prompt"
    DIFFERENCE = "first_difference"  # an earlier prompt goes on otherwise
    NEW_TEXT = "new_text"  # the earlier prompt ended there: nothing was lost
    EVICTED = "evicted"
    TOO_SHORT = "below_minimum_length"
    NO_REWIND = "no_rewind"  # a recurrent state, or a sliding window, cannot be cut back to the difference
    NOT_WORTH = "not_worth_the_copy"
    NO_ROOM = "no_room"
    OTHER_BUILD = "another_build"
    DAMAGED = "damaged"
    REMOVED = "removed"
    TOO_SLOW = "too_slow"
    REASONING_DROPPED = "reasoning_dropped"
    LOGPROBS = "prompt_logprobs"
    NOT_WANTED = "not_wanted"


MISS_SENTENCES = {
    CacheMiss.NO_EARLIER_PROMPT: "no earlier prompt begins like this one",
    CacheMiss.DIFFERENCE: "first difference at token {}",
    CacheMiss.NEW_TEXT: "the earlier prompt ended at token {}, the rest is new",
    CacheMiss.EVICTED: "evicted: the earlier prompt made room for others",
    CacheMiss.TOO_SHORT: "the earlier prompt was below the minimum length for keeping it",
    CacheMiss.NO_REWIND: "this model goes back only to kept states: the last one before the difference is at token {}",
    CacheMiss.NOT_WORTH: "the kept state shares too little beyond token {} to be worth its copy",
    CacheMiss.NO_ROOM: "the kept state did not fit into the KV cache beside the running answers",
    CacheMiss.OTHER_BUILD: "kept for another model, build, KV type or adapter",
    CacheMiss.DAMAGED: "the file of the kept state was damaged, and is removed",
    CacheMiss.REMOVED: "the file of the kept state was removed",
    CacheMiss.TOO_SLOW: "the kept state did not come from disk in the time that it would have saved",
    CacheMiss.LOGPROBS: "read again, because the logprobs of its tokens are wanted",
    CacheMiss.NOT_WANTED: "read again, because the request asks for that",
    CacheMiss.REASONING_DROPPED: "the template dropped the earlier reasoning at token {}",
}


@dataclass(frozen=True, slots=True)
class Timings:
    """One answer's account, cumulative. Counts in tokens, times in milliseconds."""

    prompt_n: int = 0  # prompt tokens that were decoded, without the reused ones
    cache_n: int = 0  # prompt tokens that the prefix cache already held
    predicted_n: int = 0
    draft_n: int = 0
    draft_accepted_n: int = 0
    queue_ms: float = 0.0  # from the request's arrival to its first place in a batch
    prompt_ms: float = 0.0  # from there to the first token
    predicted_ms: float = 0.0  # from the first token to the last
    cache_ram_n: int = 0  # of cache_n, those whose state came back from RAM
    cache_disk_n: int = 0  # and from disk; the others were resident
    cache_miss: CacheMiss | None = None  # None: the whole prompt was there, but its last token
    rolled_n: int = 0  # dropped for want of context, of the prompt (they count nowhere else) and of the answer

    @property
    def cache_resident_n(self) -> int:
        return self.cache_n - self.cache_ram_n - self.cache_disk_n

    @property
    def cache_miss_text(self) -> str | None:
        return MISS_SENTENCES[self.cache_miss].format(self.cache_n) if self.cache_miss else None

    @property
    def prompt_per_second(self) -> float:
        """Of the tokens that were decoded."""
        return 1000 * self.prompt_n / self.prompt_ms if self.prompt_ms > 0 else 0.0

    @property
    def predicted_per_second(self) -> float:
        """The first token belongs to the prompt's time, so n tokens have n - 1 intervals."""
        return 1000 * (self.predicted_n - 1) / self.predicted_ms if self.predicted_ms > 0 else 0.0

    @property
    def first_token_ms(self) -> float:
        return self.queue_ms + self.prompt_ms
