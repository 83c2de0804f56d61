"""The messages between the application and an engine process. Dataclasses only; knows no engine.

The application sends `Load` first, then `Generate`, `Abort`, `Pause` and `Resume` as it likes, and `Close` to end the
process.
The engine answers with `Loading`… `Ready` (or `Failed` with no uid), then with one `Outputs` per step, `Failed` for
a request it refuses, and `Stats` about four times a second while it works. From its very start, at least once a
second and whatever it does, it says with a `Pulse` that it lives.
"""

from dataclasses import dataclass, field, fields
from enum import IntEnum, StrEnum
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


def quickly_packed(kind: type[T]) -> type[T]:
    """Pickled as a call with its fields: dataclasses with slots look each one up by its name, both ways, which takes
    several times as long. For what goes over the pipe with every token."""
    get = attrgetter(*(each.name for each in fields(kind)))  # type: ignore[arg-type]
    has_one = len(fields(kind)) == 1  # type: ignore[arg-type]

    def reduce(value: T) -> tuple[type[T], tuple[Any, ...]]:
        return kind, (get(value),) if has_one else get(value)

    kind.__reduce__ = reduce  # type: ignore[method-assign, assignment]
    return kind


class KVType(StrEnum):
    """How keys or values lie in the KV cache; the names are those of ggml."""

    F32 = "f32"
    F16 = "f16"
    BF16 = "bf16"
    Q8_0 = "q8_0"
    Q5_1 = "q5_1"
    Q5_0 = "q5_0"
    Q4_1 = "q4_1"
    Q4_0 = "q4_0"
    IQ4_NL = "iq4_nl"


class FlashAttention(StrEnum):
    AUTO = "auto"
    ON = "on"
    OFF = "off"


class KVLayout(StrEnum):
    """How sequences lie in the KV cache. UNIFIED: in one pool of cells, where a common prefix is stored once and every
    token attends over the cells of all. STREAMS: each in one of its own. AUTO: by the number of answers and the memory.
    """

    AUTO = "auto"
    UNIFIED = "unified"
    STREAMS = "streams"


class DraftMode(StrEnum):
    """Where guesses at the next tokens come from. AUTO: lookup first, then the draft model if there is one."""

    AUTO = "auto"
    LOOKUP = "lookup"
    MODEL = "model"
    OFF = "off"


class Priority(IntEnum):
    """A person who waits at the window goes before a program that calls the port."""

    WINDOW = 0
    BATCH = 1


class Finish(StrEnum):
    """Why an answer ended. The values are OpenAI's, and `abort` for one that its reader called off."""

    STOP = "stop"
    LENGTH = "length"
    ABORT = "abort"


class Overflow(StrEnum):
    """What happens when prompt and answer reach the context. ERROR: a longer prompt is refused, an answer ends there.

    ROLL: the answer goes on. Its head stays (all of the prompt up to a quarter of the context), the older half of what
    follows is dropped, as often as needed; of a prompt that is longer the middle is dropped before it is read.
    Where the model can, what stays is moved instead of read again, and then still knows of what was dropped.
    """

    ERROR = "error"
    ROLL = "roll"


class FailureKind(StrEnum):
    CONTEXT_LENGTH = "context_length_exceeded"
    BAD_REQUEST = "bad_request"
    BAD_TEMPLATE = "bad_template"
    BAD_MODEL = "bad_model"
    OUT_OF_MEMORY = "out_of_memory"
    ENGINE_DIED = "engine_died"
    UNAVAILABLE = "engine_unavailable"  # the machine lacks something for a moment; the request has no part in it
    INTERNAL = "internal"


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
    CacheMiss.REASONING_DROPPED: "the template dropped the earlier reasoning at token {}",
}


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA file, and how much of its change to the weights is applied: 0 none, 1 all."""

    path: Path
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What a person may choose for one load. None means: decide from the model and the machine."""

    # tokens that one answer may have with its prompt, and in a unified KV cache all of them together;
    # None: the model's own, at most 8192
    context: int | None = None
    parallel: int = 4  # sequences decoded side by side
    gpu_layers: int | None = None
    threads: int | None = None
    kv_type_k: KVType = KVType.F16
    kv_type_v: KVType = KVType.F16
    kv_layout: KVLayout = KVLayout.AUTO
    kv_grow: bool = True  # the KV cache is as large as its conversations need; False: all of it at once
    kv_idle_seconds: float = 300.0  # without a question, after which what no conversation holds is given back
    flash_attention: FlashAttention = FlashAttention.AUTO
    draft: DraftMode = DraftMode.AUTO
    draft_model: Path | None = None
    draft_length: int | None = None  # guesses per step; None: as many as measured costs say that it pays
    # seconds between two tokens of an answer, at most, while a prompt is read beside it; or 4 of its steps if they take
    # longer. A longer one has the prompt read sooner
    max_interval: float = 0.15
    extra_buffer_types: bool = True  # the self-test turns it off where a build would crash with it
    flash_cost: float | None = None  # on the CPU, over that of a step without; the self-test measures it
    prompt_cache_ram: int = 512 << 20  # bytes for the states of prompts that left the KV cache; 0: off
    prompt_cache_folder: Path | None = None  # None: nothing is kept on disk
    prompt_cache_disk: int | None = 4 << 30  # bytes for all files of that folder; None: off
    adapters: tuple[Adapter, ...] = ()


@dataclass(frozen=True, slots=True)
class Load:
    model: Path
    name: str
    options: EngineOptions = field(default_factory=EngineOptions)
    notes: tuple[str, ...] = ()  # sentences that the load event should repeat, e.g. the self-test's
    log: Path | None = None  # where the words of a process go that was started before it was known whose they are


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """temperature 0 is greedy; top_k 0, top_p 1, min_p 0, typical_p 1, xtc_probability 0, dry_multiplier 0 and
    mirostat 0 switch their filter off. The defaults are llama.cpp's."""

    temperature: float = 0.8
    top_k: int = 40
    top_p: float = 0.95
    min_p: float = 0.05
    typical_p: float = 1.0
    top_n_sigma: float | None = None
    xtc_probability: float = 0.0
    xtc_threshold: float = 0.1
    dry_multiplier: float = 0.0
    dry_base: float = 1.75
    dry_allowed_length: int = 2
    dry_penalty_last_n: int | None = None  # None: the whole context
    dry_sequence_breakers: tuple[str, ...] = ("\n", ":", '"', "*")
    mirostat: int = 0  # or version 1 or 2, which replace the filters above but DRY
    mirostat_tau: float = 5.0
    mirostat_eta: float = 0.1
    logit_bias: tuple[tuple[int, float], ...] = ()  # token, and what is added to its logit
    repeat_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    penalty_last_n: int = 64
    seed: int | None = None


GREEDY = SamplingParams(temperature=0.0)


class GrammarKind(StrEnum):
    """The values are llguidance's names. GBNF may be Lark, too."""

    JSON_SCHEMA = "json_schema"
    REGEX = "regex"
    LARK = "lark"
    GBNF = "gbnf"


@dataclass(frozen=True, slots=True)
class Grammar:
    """What an answer must look like."""

    kind: GrammarKind
    text: str


@dataclass(frozen=True, slots=True)
class Message:
    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Generate:
    """One answer wanted. `prompt` is a chat for the model's template, a text, or token ids as they are."""

    prompt: tuple[Message, ...] | str | tuple[int, ...]
    uid: int = 0  # given by the client that submits it
    sampling: SamplingParams = field(default_factory=SamplingParams)
    # None: until the model stops or the context is full; with Overflow.ROLL at most 8 times the context; 0: the prompt
    # is read, and nothing said
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    priority: Priority = Priority.BATCH
    draft: bool = True  # False switches drafting off for this answer
    draft_length: int | None = None  # guesses per step at most; None: as many as pay; 0 is off, too
    ignore_eos: bool = False
    logprobs: int | None = None  # with so many alternatives to each token, 0 to 20; None: not wanted
    prompt_logprobs: int | None = None  # the same of the prompt's tokens, all of which are read for that
    grammar: Grammar | None = None
    adapters: tuple[tuple[int, float], ...] | None = None  # place in the load's list, and scale; None: as loaded
    overflow: Overflow = Overflow.ERROR
    client: int | None = None  # answers of one client take turns with those of others; None: a client of its own
    # whether control tokens written in the prompt's text are read as such; None: those of a raw text are, those that
    # people wrote into a chat's messages are not
    special: bool | None = None
    continues: bool = False  # the chat's last message is the beginning of the answer: go on with it


@dataclass(frozen=True, slots=True)
class Abort:
    uid: int


@dataclass(frozen=True, slots=True)
class Close:
    """End the process. A pipe at its end means the same, and at once: the application died."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Nobody reads this answer: compute no more of it until `Resume`. Unknown or finished uids are ignored."""

    uid: int


@dataclass(frozen=True, slots=True)
class Resume:
    uid: int


Request = Load | Generate | Abort | Close | Pause | Resume


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
    def predicted_per_second(self) -> float:
        """The first token belongs to the prompt's time, so n tokens have n - 1 intervals."""
        return 1000 * (self.predicted_n - 1) / self.predicted_ms if self.predicted_ms > 0 else 0.0

    @property
    def first_token_ms(self) -> float:
        return self.queue_ms + self.prompt_ms


@dataclass(frozen=True, slots=True)
class Loading:
    """0 ≤ fraction ≤ 1 of the weights read."""

    fraction: float


class Pooling(StrEnum):
    """What is made of the vectors of a text's tokens. The names are llama.cpp's."""

    MEAN = "mean"
    CLS = "cls"  # the first token's
    LAST = "last"
    RANK = "rank"  # no vector but a score: how well the second of two texts answers the first


@dataclass(frozen=True, slots=True)
class Embedding:
    """What a model makes of a text."""

    pooling: Pooling
    dimensions: int  # of a vector
    max_tokens: int  # of one text, with those that the tokenizer puts around it


@dataclass(frozen=True, slots=True)
class Ready:
    """What was loaded, and what the engine chose where the options left it open."""

    name: str
    architecture: str
    num_parameters: int
    model_bytes: int
    context: int  # tokens that one request may have, its answer included
    context_trained: int
    parallel: int
    num_layers: int
    gpu_layers: int
    device: str  # "CPU", or the backend's name and description
    threads: int
    kv_type_k: str
    kv_type_v: str
    flash_attention: str
    draft: str  # "off", "lookup", or "lookup + NAME"
    build: str  # version of the native library
    load_seconds: float
    has_chat_template: bool
    notes: tuple[str, ...] = ()
    kv_layout: KVLayout = KVLayout.UNIFIED  # never AUTO
    kv_layout_reason: str = ""  # a sentence
    adapters: tuple[Adapter, ...] = ()
    max_characters: int | None = None  # no longer text has so few tokens as the context holds; None: not known
    embedding: Embedding | None = None  # None: it makes no vectors
    generates: bool = True  # False: it was made for vectors alone

    @property
    def is_base(self) -> bool:
        """It completes text and has no chat format."""
        return self.generates and not self.has_chat_template


@quickly_packed
@dataclass(frozen=True, slots=True)
class Chance:
    """A token that could have come, and the natural logarithm of its probability."""

    piece: bytes
    logprob: float


@quickly_packed
@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token that came, by the model's own distribution: before temperature, penalties, filters and grammar."""

    piece: bytes
    logprob: float
    alternatives: tuple[Chance, ...] = ()  # the likeliest, best first; the token itself may be among them


@dataclass(frozen=True, slots=True)
class PromptLogprobs:
    """What the model thought of a prompt's tokens. first: the bytes of the one before which nothing stands."""

    first: bytes
    others: tuple[TokenLogprob, ...]


@quickly_packed
@dataclass(frozen=True, slots=True)
class Output:
    """What one step added to one answer. `timings` comes with the first and with the last output."""

    uid: int
    text: str
    num_tokens: int  # new ones; text may lag behind them (a half character, a possible stop string)
    finish: Finish | None = None
    timings: Timings | None = None
    logprobs: tuple[TokenLogprob, ...] = ()  # of the new tokens but the one that ends the answer, if wanted
    prompt: PromptLogprobs | None = None  # with the first output, if wanted


@quickly_packed
@dataclass(frozen=True, slots=True)
class Outputs:
    outputs: tuple[Output, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """A request (uid), or the load itself (uid None), that could not be served. `message` is for a person.

    numbers: for CONTEXT_LENGTH the prompt's tokens and the context's; else empty.
    """

    uid: int | None
    kind: FailureKind
    message: str
    numbers: tuple[int, ...] = ()


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
    """The engine's account. Totals since the load; micro-seconds are sums over all steps."""

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


@dataclass(frozen=True, slots=True)
class Pulse:
    """The engine lives. busy_seconds: how long it has been at the present step, or stage of its load; 0 when idle."""

    busy_seconds: float


Event = Loading | Ready | Outputs | Failed | Stats | Pulse
