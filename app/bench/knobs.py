"""What tuning may turn, and to what: nothing of it changes what is answered but for the rounding of kernels."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psutil

from app.bench.tuned import Purpose
from backends.formats.kv_shape import UNQUANTIZED
from backends.protocol import EngineOptions, FlashAttention, KVLayout, Ready

WIDE_BATCHES = ((1024, 512), (1024, 1024), (2048, 2048))  # of a step, and at once: what a GPU wants
BATCHES = ((512, 512), (512, 256), (512, 128), (256, 256))  # what a processor's caches like
PARALLEL = (8, 16, 32)
NEAR_LAYERS = (1, 2, 4)  # on the GPU, beside as many as the planner says


@dataclass(frozen=True, slots=True)
class Choice:
    """words: for people. change: of engine options, by their names."""

    words: str
    change: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Knob:
    name: str
    choices: tuple[Choice, ...]


def knobs(options: EngineOptions, ready: Ready, purpose: Purpose) -> Iterator[Knob]:
    """Those that there are, the one that matters most first. ready: of an engine with these options."""
    is_whole_on_gpu = ready.gpu_layers > ready.num_layers
    if ready.gpu_layers > 0:
        yield Knob("placement", tuple(_placements(ready)))
    if not is_whole_on_gpu:
        yield Knob("threads", tuple(_threads(ready.threads)))
    if options.kv_type_v in UNQUANTIZED:
        yield Knob("flash attention", tuple(_flash(ready.flash_attention)))
    if purpose is Purpose.BATCH:
        yield Knob("answers side by side", tuple(_parallel(options.parallel)))
        yield Knob("layout of the KV cache", tuple(_layouts(ready)))
    yield Knob("batch", tuple(_batches(options, WIDE_BATCHES if ready.gpu_layers else BATCHES)))


def _threads(used: int) -> Iterator[Choice]:
    """All cores, one less, half of them, and the processor's own second threads."""
    cores = psutil.cpu_count(logical=False) or 1
    for count in dict.fromkeys((cores, cores - 1, cores // 2, psutil.cpu_count() or cores)):
        if count > 0 and count != used:
            yield Choice(f"{count} {'thread' if count == 1 else 'threads'}", {"threads": count})


def _flash(used: str) -> Iterator[Choice]:
    for mode in (FlashAttention.ON, FlashAttention.OFF):
        if (mode is FlashAttention.OFF) != (used == FlashAttention.OFF):
            yield Choice(f"flash attention {mode}", {"flash_attention": mode})


def _batches(options: EngineOptions, pairs: Sequence[tuple[int, int]]) -> Iterator[Choice]:
    for batch, rows in pairs:
        if (batch, rows) != (options.batch, options.micro_batch):
            words = f"batches of {batch:,} tokens, {rows:,} at once"
            yield Choice(words, {"batch": batch, "micro_batch": rows})


def _parallel(used: int) -> Iterator[Choice]:
    for count in PARALLEL:
        if count > used:
            yield Choice(f"{count} answers side by side", {"parallel": count})


def _layouts(ready: Ready) -> Iterator[Choice]:
    for layout in (KVLayout.UNIFIED, KVLayout.STREAMS):
        if layout is not ready.kv_layout:
            words = "one pool of cells" if layout is KVLayout.UNIFIED else "a stream for each answer"
            yield Choice(words, {"kv_layout": layout})


def _placements(ready: Ready) -> Iterator[Choice]:
    """More layers than was planned leave less room for other programs; none at all is right for the smallest models."""
    whole = ready.num_layers + 1
    counts = [min(whole, ready.gpu_layers + more) for more in NEAR_LAYERS] if ready.gpu_layers < whole else []
    for count in dict.fromkeys((*counts, 0)):
        words = f"{count} of {whole} layers on the GPU" if count else "all layers on the processor"
        yield Choice(words, {"gpu_layers": count})
