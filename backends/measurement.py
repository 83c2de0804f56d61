"""What measuring a model file found. Dataclasses only, so that the application can receive them from a child."""

from dataclasses import dataclass


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
class Evaluation:
    """num_tokens: those predicted and scored, not those read. Perplexities with one standard error.

    seconds: of the model's own pass over the text. reference_seconds: of the reference's, None when it was known.
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
