"""One generation in flight: the tokens so far, and how many of them the KV cache holds."""

from dataclasses import dataclass, field
from typing import Protocol

from backends.prompt_cache.state import Reuse, Tier
from backends.protocol import Finish, Generate, Overflow, Priority, Progress, Timings, TokenLogprob

MAX_WINDOWS = 8  # an answer that rolls and sets itself no limit ends after so many times its context


class Sampler(Protocol):
    """Chooses one answer's tokens. Stateful (random numbers, penalties), so it sees each position once. is_hurried: a
    token was refused, so that its grammar can still be fulfilled before the limit."""

    @property
    def is_hurried(self) -> bool: ...

    def close(self) -> None: ...


@dataclass(slots=True)
class Clock:
    """When things happened to a sequence, in seconds of time.perf_counter()."""

    arrived: float = 0.0
    started: float | None = None
    first_token: float | None = None


@dataclass(eq=False, slots=True)
class Sequence:
    uid: int
    tokens: list[int]
    max_tokens: int
    eos: frozenset[int] = frozenset()
    priority: Priority = Priority.BATCH
    client: int | None = None  # whose sequences take turns with those of others; None: a client of its own
    sampler: Sampler | None = None  # None: greedy
    max_draft: int | None = None  # guesses per step; 0: none; None: the controller decides
    adapters: tuple[float, ...] = ()  # the scale of each loaded one; all cells of a slot are made with the same
    num_alternatives: int | None = None  # None: nobody wants logprobs
    after_filters: bool = False  # as in Generate
    num_prompt_alternatives: int | None = None  # the same of the prompt's tokens
    tells_tokens: bool = False  # as in Generate
    max_seconds: float | None = None
    reuses: bool = True  # as in Generate
    prompt_logprobs: list[TokenLogprob] = field(default_factory=list)  # of the second one and those that follow it
    tells_progress: bool = False  # its reader wants to hear how far its prompt has been read
    completion: list[int] = field(default_factory=list)  # all of it, also what has rolled out of `tokens`
    window: int | None = None  # tokens that it may have before it rolls; None: it ends before that
    head: int = 0  # tokens at the beginning that stay
    num_rolled: int = 0
    slot: int | None = None
    num_computed: int = 0
    num_cached: int = 0  # of the prompt, found in the prefix cache when first admitted
    reuse: Reuse = field(default_factory=Reuse)  # where those came from, and why not more
    num_drafted: int = 0
    num_accepted: int = 0
    num_prompt: int = field(init=False)
    finish: Finish | None = None
    failure: str | None = None  # the sampler gave up: a sentence for the person; its last token means nothing
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        assert self.tokens, "a sequence without a token has nothing to decode"
        self.num_prompt = len(self.tokens)

    @classmethod
    def of(
        cls,
        request: Generate,
        tokens: list[int],
        context: int,
        eos: frozenset[int],
        stop_tokens: frozenset[int] = frozenset(),
    ) -> "Sequence":
        """The sequence of a request. `context` bounds prompt and answer together; stop_tokens: ends that the request
        names, so that they end it also where it ignores the model's."""
        room = context - len(tokens)
        seq = cls(
            request.uid,
            tokens,
            max_tokens=room if request.max_tokens is None else min(request.max_tokens, room),
            eos=stop_tokens if request.ignore_eos else eos | stop_tokens,
            priority=request.priority,
            client=request.client,
            max_draft=request.draft_length if request.draft else 0,
            num_alternatives=request.logprobs,
            after_filters=request.after_filters,
            tells_tokens=request.tells_tokens,
            max_seconds=request.max_seconds,
            num_prompt_alternatives=request.prompt_logprobs,
            reuses=request.reuses,
            tells_progress=request.tells_progress,
        )
        if request.overflow is Overflow.ROLL:
            seq.make_rolling(context, request.max_tokens)
        return seq

    def make_rolling(self, window: int, max_tokens: int | None) -> None:
        """Go on when `window` tokens are reached. A prompt that reaches them loses its middle now."""
        assert window >= 4, "a roll would leave nothing"
        self.window, self.head = window, min(self.num_prompt, window // 4)
        self.max_tokens = MAX_WINDOWS * window if max_tokens is None else max_tokens
        if self.must_roll:
            self.roll()
            self.num_prompt = len(self.tokens)

    @property
    def num_pending(self) -> int:
        """Tokens still to be decoded: the rest of the prompt, or the one token just sampled."""
        return len(self.tokens) - self.num_computed

    @property
    def num_completion(self) -> int:
        return len(self.completion)

    @property
    def room(self) -> int:
        """Tokens that it may say before it ends or rolls."""
        left = self.max_tokens - self.num_completion
        return left if self.window is None else min(left, self.window - len(self.tokens))

    @property
    def most_guesses(self) -> int:
        """That this answer has use for in one step."""
        left = max(0, self.room - 1)
        return left if self.max_draft is None else min(left, self.max_draft)

    @property
    def must_roll(self) -> bool:
        return self.window is not None and len(self.tokens) >= self.window and not self.finish

    @property
    def num_unscored(self) -> int:
        """Tokens of the prompt whose logprobs are wanted and not known yet."""
        if self.num_prompt_alternatives is None:
            return 0
        return self.num_prompt - 1 - len(self.prompt_logprobs)

    @property
    def reusable(self) -> list[int]:
        """Of its tokens those that need not be decoded where a slot holds them."""
        if not self.reuses:
            return []
        end = len(self.tokens) - 1  # the last must be decoded for its logits
        return self.tokens[: len(self.prompt_logprobs) if self.num_unscored else end]

    @property
    def cached_tokens(self) -> list[int]:
        """What its slot holds."""
        return self.tokens[: self.num_computed]

    def append(self, token: int) -> None:
        self.tokens.append(token)
        self.completion.append(token)
        if token in self.eos and self.max_tokens:
            self.finish = Finish.STOP
        elif self.num_completion >= self.max_tokens:
            self.finish = Finish.LENGTH

    def roll(self) -> tuple[int, int]:
        """Drop all that follows the head but the newest tokens, which get half of that room. What went, as a range;
        `num_computed` is left to whoever changes the slot."""
        assert self.window is not None
        begin, end = self.head, len(self.tokens) - (self.window - self.head) // 2
        del self.tokens[begin:end]
        self.num_rolled += end - begin
        return begin, end

    def progress(self, now: float) -> Progress:
        """now: seconds of time.perf_counter()."""
        started = self.clock.started
        if started is None:
            return Progress(self.uid, self.num_prompt)
        num_read = min(self.num_computed, self.num_prompt)
        return Progress(self.uid, self.num_prompt, self.num_cached, num_read, 1000 * (now - started))

    def timings(self) -> Timings:
        """Up to its first token; what comes then is counted by who says it."""
        clock = self.clock
        started = clock.started if clock.started is not None else clock.arrived
        first = clock.first_token if clock.first_token is not None else started
        return Timings(
            prompt_n=self.num_prompt - self.num_cached,
            cache_n=self.num_cached,
            predicted_n=self.num_completion,
            draft_n=self.num_drafted,
            draft_accepted_n=self.num_accepted,
            queue_ms=1000 * (started - clock.arrived),
            prompt_ms=1000 * (first - started),
            cache_ram_n=self.num_cached if self.reuse.tier is Tier.RAM else 0,
            cache_disk_n=self.num_cached if self.reuse.tier is Tier.DISK else 0,
            cache_miss=self.reuse.miss,
            rolled_n=self.num_rolled,
        )
