"""What measuring a model file found. Dataclasses only, so that the application can receive them from a child."""

from dataclasses import dataclass, field, replace
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Divergence:
    """How far a model's predictions are from its reference's: KL divergence in nats per token, reference first.

    error: of the mean, one standard error over the text's positions. p99: 99 of 100 positions are below it.
    same_top: share of positions at which both would choose the same token first, 0 to 1, with its standard error.
    approximation: what leaving out most of the vocabulary in the reference file may have changed the mean by (two
    standard errors); 0 when every probability was compared.
    """

    mean: float
    error: float
    p99: float
    maximum: float
    same_top: float
    same_top_error: float
    approximation: float = 0.0


@dataclass(frozen=True, slots=True)
class Choices:
    """Multiple choice, four endings an item (HellaSwag's acc_norm). accuracy: share of right answers, 0 to 1; low and
    high: its 95 % interval (Wilson). reference_accuracy and same_answers (share answered as the reference did) are None
    without a reference. seconds: of the model's own answers."""

    accuracy: float
    low: float
    high: float
    num_items: int
    seconds: float
    reference_accuracy: float | None = None
    same_answers: float | None = None


@dataclass(frozen=True, slots=True)
class Noise:
    """The same file computed twice by two paths that should agree, on some chunks of the text: mean KL divergence in
    nats per token with one standard error, share of positions with the same first choice, and the change of the first
    choice's log probability that 99 of 100 positions stay below. Quantized kernels round their inputs, and each path
    rounds otherwise; what both round alike is not seen by it. path: how the second one differed, for people."""

    mean: float
    error: float
    same_top: float
    p99_change: float
    num_tokens: int
    path: str


@dataclass(frozen=True, slots=True)
class Evaluation:
    """num_tokens: those predicted and scored, not those read. Perplexities with one standard error.

    seconds: of the model's own pass over the text. reference_seconds: of the reference's, None when it was known.
    choices, noise: None where they were not asked for, and on cards of before 2026-12.
    """

    perplexity: float
    perplexity_error: float
    num_tokens: int
    context: int
    kv_type_k: str
    kv_type_v: str
    seconds: float
    kld: Divergence | None = None
    reference_perplexity: float | None = None
    reference_seconds: float | None = None
    choices: Choices | None = None
    noise: Noise | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """One that the installed build can compute on; bytes. is_shared: its memory is the RAM."""

    name: str
    description: str
    is_gpu: bool
    is_shared: bool
    free: int
    total: int


@dataclass(frozen=True, slots=True)
class ContextWish:
    """A context that is measured and not made. cells: of all slots together. rows: of a micro-batch."""

    cells: int
    slots: int
    is_unified: bool
    rows: int
    flash_attention: bool
    max_draft: int = 0


@dataclass(frozen=True, slots=True)
class Buffers:
    """What llama.cpp itself says that it would allocate, in bytes. compute: by device, where the RAM is "RAM"."""

    compute: dict[str, int]
    cache: int
    states: int
    output: int


@dataclass(frozen=True, slots=True)
class Rates:
    """Bytes of weights a second, while one token is computed. by_type: of the processor with so many threads, by tensor
    type. layer_seconds: what a layer takes whatever it weighs. gpu: of the first GPU, None without one. memory: bytes a
    second that the RAM gives, whatever is made of them. others: cores that other programs used in the window that was
    least quiet; None: not known. attention: numbers of keys and values a second that the heads of one token go through,
    by the type of the KV cache, with “flash” in front where that is on."""

    QUIET: ClassVar[float] = 0.25  # others that are in nobody's way

    by_type: dict[str, float]
    layer_seconds: float
    threads: int
    gpu: float | None = None
    memory: float | None = None
    others: float | None = None
    attention: dict[str, float] = field(default_factory=dict)

    @property
    def is_quiet(self) -> bool:
        """Those of earlier versions did not say it, and are measured again."""
        return self.others is not None and self.others < self.QUIET

    def beside(self, before: "Rates") -> "Rates":
        """Of the same build, measured before: of two that other programs were in the way of, the quicker ones count."""
        if self.is_quiet:
            return self
        return replace(
            self,
            by_type={name: max(rate, before.by_type.get(name, 0.0)) for name, rate in self.by_type.items()},
            layer_seconds=min(self.layer_seconds, before.layer_seconds),
            gpu=_larger(self.gpu, before.gpu),
            memory=_larger(self.memory, before.memory),
            attention={name: max(rate, before.attention.get(name, 0.0)) for name, rate in self.attention.items()},
        )


def _larger(*rates: float | None) -> float | None:
    return max((each for each in rates if each is not None), default=None)


@dataclass(frozen=True, slots=True)
class Speed:
    """Medians of short runs. memory_bytes: the most that the process held, the KV cache included; vram_bytes: what
    the GPUs gave to it, None on a build without one."""

    load_seconds: float
    prompt_per_second: float
    decode_per_second: float
    memory_bytes: int
    vram_bytes: int | None
    device: str
    threads: int
    build: str
