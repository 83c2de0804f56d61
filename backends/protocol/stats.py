"""The engine's account of itself, and its sign of life."""

from dataclasses import dataclass

from backends.protocol.options import KVLayout


@dataclass(frozen=True, slots=True)
class DeviceMemory:
    """What the native backend itself says of one GPU, in bytes."""

    name: str
    free: int
    total: int


@dataclass(frozen=True, slots=True)
class DraftSource:
    """One kind of guess, and how it has done lately over all answers."""

    name: str  # "lookup of 6" for six matching tokens, or "draft model"
    acceptance: float  # share of the guesses that held; before anything was checked, what is expected
    num_checked: int
    seconds: float  # to make one guess for every running answer; 0 for a look-up, and while it is not known


@dataclass(frozen=True, slots=True)
class Drafting:
    """What the controller has learnt."""

    sources: tuple[DraftSource, ...] = ()  # the one that is asked first comes first; empty: drafting is off
    pair_cost: float | None = None  # how many times as long as one token two take in one step; None: not known yet


@dataclass(frozen=True, slots=True)
class Cells:
    """Of a KV cache: tokens that it has place for, over all answers."""

    used: int  # by the answers that run
    allocated: int
    limit: int
    is_short: bool = False  # more were needed a moment ago, and there was no memory for them

    def __str__(self) -> str:
        """A sentence while memory is in the way, else nothing."""
        if not self.is_short:
            return ""
        return (
            f"The KV cache cannot grow beyond {self.allocated:,} tokens: no memory is free for more. Close other "
            "programs, or load the model with a smaller context or fewer parallel answers."
        )


@dataclass(frozen=True, slots=True)
class Processor:
    """How many threads compute a step now. is_crowded: it would be all of them, were there no other programs."""

    num_threads: int
    most_threads: int
    is_crowded: bool = False

    def __str__(self) -> str:
        """A sentence while other programs are in the way, else nothing."""
        if not self.is_crowded:
            return ""
        threads = f": {self.num_threads} of {self.most_threads} threads" if self.num_threads < self.most_threads else ""
        return f"The processor is busy with other programs{threads}."


@dataclass(frozen=True, slots=True)
class Stats:
    """The engine's account. Totals since the load; micro-seconds are sums over all steps.

    Every token of an answer but its first one follows another: these, the steps that made them and the time from step
    to step are counted apart, since the first one's time is its prompt's.
    """

    num_running: int
    num_waiting: int
    cells: Cells
    rss_bytes: int
    devices: tuple[DeviceMemory, ...]  # empty on a build without a GPU backend
    num_steps: int
    num_tokens: int  # sampled
    num_prompt_tokens: int
    num_cached_tokens: int
    num_drafted: int
    num_accepted: int
    decode_us: int  # inside the native decode
    step_us: int  # whole steps, decode included
    drafting: Drafting = Drafting()
    kv_layout: KVLayout = KVLayout.UNIFIED
    processor: Processor | None = None  # None: the GPU computes
    num_drafts: int = 0  # times that guesses were checked
    num_following: int = 0
    num_following_steps: int = 0
    following_us: int = 0
    prompt_us: int = 0  # steps that read prompts
    num_answered: int = 0  # answers that have their first token
    first_token_us: int = 0  # from asking to the first token, over all of these
    queue_us: int = 0  # the part of it before the first step


@dataclass(frozen=True, slots=True)
class Pulse:
    """The engine lives. busy_seconds: how long it has been at the present step, or stage of its load; 0 when idle."""

    busy_seconds: float
