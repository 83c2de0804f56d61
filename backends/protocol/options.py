"""What a person may choose for one load, and the order to load."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


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


class Keep(StrEnum):
    """What of some layers stays in RAM, though the rest of them is on a GPU."""

    NOTHING = "nothing"
    EXPERTS = "experts"
    FEED_FORWARD = "feed-forward"  # experts, too


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the weights lie, as it was planned. None in EngineOptions: the engine decides.

    gpu_layers: the last so many, where the output counts as one. split: of these, how many for each GPU. kept: of so
    many layers from number `first` on, what `keeps` says stays in RAM. draft_gpu_layers: of the draft model.
    rows: of a micro-batch, None for the engine's own number.
    """

    gpu_layers: int
    split: tuple[int, ...] = ()
    keeps: Keep = Keep.NOTHING
    kept: int = 0
    first: int = 0
    draft_gpu_layers: int = 0
    rows: int | None = None
    note: str | None = None  # a sentence for the load event


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
    batch: int | None = None  # tokens of one step at most
    micro_batch: int | None = None  # of these, how many are computed at once; it goes before the placement's
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
    from_disk: bool = False  # load what no memory holds: its weights are read anew for each token
    placement: Placement | None = None  # as it was planned for this machine; a number of `gpu_layers` goes before it


@dataclass(frozen=True, slots=True)
class Load:
    model: Path
    name: str
    options: EngineOptions = field(default_factory=EngineOptions)
    notes: tuple[str, ...] = ()  # sentences that the load event should repeat, e.g. the self-test's
    log: Path | None = None  # where the words of a process go that was started before it was known whose they are
