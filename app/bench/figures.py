"""What was measured of one model on this machine. Values only: knows no engine and no words."""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from backends.measurement import Divergence
from backends.protocol import Cells

CPU = "CPU"
BUSY, BUSY_SHARE = 0.25, 0.08  # cores that others use, and of all cores: from there on a comparison proves nothing


@dataclass(frozen=True, slots=True)
class Sample:
    """The same thing measured several times, in that order. At least one value, none of them negative."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def p95(self) -> float:
        """95 of 100 values are no larger; of fewer than 20 the largest (nearest rank)."""
        ordered = sorted(self.values)
        return ordered[-(-95 * len(ordered) // 100) - 1]

    @property
    def scatter(self) -> float | None:
        """The most by which two equal runs in a row differed, as a share of the smaller one; None for a single run."""
        return max((max(pair) / min(pair) - 1 for pair in pairwise(self.values) if min(pair) > 0), default=None)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One figure without something and with it, measured in turns (A B B A)."""

    without: Sample
    within: Sample

    @property
    def ratio(self) -> float:
        """Of the medians, with it over without."""
        return self.within.median / self.without.median if self.without.median else 1.0

    @property
    def apart(self) -> float:
        """By which share the larger median is above the smaller one."""
        return max(self.ratio, 1 / self.ratio) - 1 if self.ratio else 0.0

    @property
    def scatter(self) -> float | None:
        """What two equal runs differed by at most, on either side; None where none was repeated."""
        known = [each for each in (self.without.scatter, self.within.scatter) if each is not None]
        return max(known) if known else None

    @property
    def is_shown(self) -> bool:
        """The difference is larger than that between equal runs, and no run of one side is among the other's."""
        low, high = sorted((self.without.values, self.within.values), key=statistics.median)
        change = self.apart if self.ratio else 1.0
        return self.scatter is not None and change > self.scatter and max(low) < min(high)


@dataclass(frozen=True, slots=True)
class Subject:
    """What was measured, where and with what."""

    name: str
    file: str
    bytes: int
    num_parameters: int
    quantization: str
    machine: str
    num_cores: int
    device: str  # "CPU", or the GPU's name
    threads: int
    context: int
    parallel: int
    kv_type_k: str
    kv_type_v: str
    flash_attention: str
    draft: str
    kv_grows: bool
    build: str  # of the native library
    version: str  # ours
    measured: str  # when it began: ISO 8601, seconds, with the zone
    notes: tuple[str, ...] = ()
    identity: str = ""  # of the file's content
    gpu_layers: int = 0
    num_layers: int = 0  # the output counts as one
    batch: int = 0  # tokens of a step; 0: not known
    micro_batch: int = 0

    @property
    def place(self) -> str:
        """In words."""
        if not self.gpu_layers:
            return CPU
        if self.gpu_layers >= self.num_layers:
            return self.device
        return f"{self.gpu_layers} of {self.num_layers} layers on {self.device}"


@dataclass(frozen=True, slots=True)
class Reading:
    """A prompt of num_tokens tokens, where `depth` were wanted. Speed in tokens per second; seconds until the answer
    begins, and once more when the prompt has just been read."""

    depth: int
    num_tokens: int
    speed: Sample
    cold: Sample
    warm: Sample


@dataclass(frozen=True, slots=True)
class Answering:
    """One answer behind a prompt of `depth` tokens; 0: behind a short question. Speed in tokens per second. interval:
    milliseconds in which 95 of 100 tokens followed the one before. num_bytes: that a token reads of weights and KV
    cache, None where that is not known."""

    depth: int
    speed: Sample
    interval: float
    num_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Together:
    """So many answers side by side, each behind a prompt of its own of `depth` tokens; 0: a short question. Tokens per
    second of one alone and of all of them together."""

    count: int
    speed: Comparison
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Drafts:
    """Tokens per second without guesses and with them. source: what guesses; task: what was asked for."""

    source: str
    task: str
    speed: Comparison
    num_drafted: int
    num_accepted: int


@dataclass(frozen=True, slots=True)
class Footprint:
    """The engine's process, in bytes. vram_bytes: what all programs use of the GPUs, None without one."""

    rss_bytes: int
    vram_bytes: int | None
    cells: Cells

    @property
    def bytes(self) -> int:
        """What is compared: on one machine, one option apart."""
        return self.rss_bytes + (self.vram_bytes or 0)


@dataclass(frozen=True, slots=True)
class Memory:
    """num_tokens: of the chat that fills the KV cache."""

    first: Footprint
    chat: Footprint
    num_tokens: int


@dataclass(frozen=True, slots=True)
class Life:
    """What engines that were started anew showed, one value for each start or run. Seconds from the start to the first
    token; prompt and answer in tokens per second, the answer behind `num_tokens` others; bytes of the process."""

    start: Sample
    prompt: Sample
    answer: Sample
    first_bytes: Sample
    chat_bytes: Sample


@dataclass(frozen=True, slots=True)
class Option:
    """Engines that differ in one option only. is_own: whether the person's own choice is the side with it."""

    without: Life
    within: Life
    is_own: bool

    def compared(self, figure: str) -> Comparison:
        """figure: a field of Life."""
        return Comparison(getattr(self.without, figure), getattr(self.within, figure))


@dataclass(frozen=True, slots=True)
class Quantized:
    """A KV cache of `kind` beside one of f16. divergence: of the model's predictions; None: not measured."""

    kind: str
    option: Option | None
    divergence: Divergence | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """All that is known so far; None and empty: not measured. others: cores that other programs used, part by part.

    left_out: sentences about what could not be measured. is_whole: nothing was called off.
    """

    subject: Subject
    memory: Memory | None = None
    readings: tuple[Reading, ...] = ()
    answers: tuple[Answering, ...] = ()  # without guesses, the shortest depth first
    together: tuple[Together, ...] = ()
    equal: Comparison | None = None  # the same answer as two sides, in turns: what no difference is (A/A)
    bandwidth: float | None = None  # bytes per second that the memory gives which holds the model
    drafts: tuple[Drafts, ...] = ()
    depth: int = 0  # tokens of the prompts with which options are compared
    starts: Sample | None = None  # seconds to the first token of engines with the person's own options
    growth: Option | None = None
    quantized: Quantized | None = None
    processor: Option | None = None  # where the model is on a GPU: all of it on the processor instead
    others: tuple[float, ...] = ()
    left_out: tuple[str, ...] = ()
    is_whole: bool = False

    def check(self) -> None:
        """Raises ValueError for what was never measured, in a file of somebody else's."""
        datetime.fromisoformat(self.subject.measured)
        if min(self.subject.bytes, self.subject.num_cores, self.subject.threads) <= 0:
            raise ValueError("a model or a machine of nothing")
        if not all(sample.values and min(sample.values) >= 0 for sample in samples(self)):
            raise ValueError("a figure that no run has given")

    @property
    def noise(self) -> float:
        """The share by which two sides without any difference came out apart; 0 where that was not measured."""
        if self.equal is None:
            return 0.0
        return max(self.equal.apart, self.equal.scatter or 0.0)

    def share(self, answering: Answering) -> float | None:
        """Of what the memory gives, that its weights and KV cache were read with."""
        if not answering.num_bytes or not self.bandwidth:
            return None
        return answering.num_bytes * answering.speed.median / self.bandwidth

    @property
    def busiest(self) -> float | None:
        return max(self.others, default=None)

    @property
    def is_busy(self) -> bool:
        """Other programs took so much of the processor that no difference can be laid at our door."""
        return self.busiest is not None and is_busy(self.busiest, self.subject.num_cores)


def samples(value: Any) -> Iterator[Sample]:
    """All that are in a value of this module."""
    if isinstance(value, Sample):
        yield value
    elif isinstance(value, tuple):
        for each in value:
            yield from samples(each)
    elif is_dataclass(value):
        for field in fields(value):
            yield from samples(getattr(value, field.name))


def is_busy(others: float, num_cores: int) -> bool:
    """others: cores that other programs use."""
    return others >= max(BUSY, BUSY_SHARE * num_cores)
