"""How many bytes of weights a second this machine gets through, by type of tensor: a token costs little else.

One step of one token reads every weight once. Models of nothing but zeros are measured, which take no room on the disk
and as long as any other: how long a product takes does not depend on what is multiplied.

Other programs are in the way of it. So each type has several windows, what others used of the processor is noted beside
each, and of the quiet ones the best counts; if none was quiet, the figures say so, and are measured again another time.
"""

import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from time import perf_counter

import gguf
import numpy as np
import psutil
from gguf import GGMLQuantizationType as Type

from backends.child import Progress, Refusal, Report
from backends.llama import native
from backends.llama.context import MIN_CELLS, ContextParams, NativeContext
from backends.llama.native import NativeError, NativeModel
from backends.llama.placement import ALL_LAYERS, default_threads
from backends.llama.trial_model import TrialModel
from backends.measurement import Rates
from backends.neighbours import ApplicationTime, Neighbours

# those that most models are made of come first: on a slow machine there is no time for the others
TYPES = (Type.Q4_K, Type.Q8_0, Type.F16, Type.Q4_0, Type.Q6_K, Type.Q5_K, Type.Q4_1, Type.IQ4_XS, Type.MXFP4)
ON_GPU = Type.Q4_K
MOST_BYTES = 160 << 20  # of weights: more than a processor keeps in its caches
WIDTH, HEADS, VOCABULARY, WIDE_TIMES = 2048, 16, 256, 4
SMALL_WIDTH, MANY = 256, 24  # a model whose weights weigh nothing
CONTEXT, NUM_STEPS, NUM_FIRST = 256, 24, 2
LAYERS, GPU, MEMORY = "layers", "the GPU", "the memory"
ATTENTION = {"f16": ("f16", "off"), "flash f16": ("f16", "on"), "flash q8_0": ("q8_0", "on")}
ATTENTION_WIDTH, ATTENTION_LAYERS, DEPTH = 1024, 2, 1012  # which llama.cpp makes 1024 cells of
CELLS = 1024
NUM_PASSES, MOST_PASSES = 2, 3  # some seconds apart: what is in the way comes in bursts
SECONDS = 0.5  # for the steps of one type
MOST_SECONDS = 40.0  # after which nothing more is begun, once the first type is known
MOST_LAYER_SECONDS = 0.0003  # believed: more is another program's
BLOCK, NUM_READS = 64 << 20, 4  # bytes that each thread reads of the memory, so often

Look = Callable[[], float | None]  # cores that others used since the last one


@dataclass(slots=True)
class Windows:
    """The best rate of each thing, of quiet windows where there were any, and what others used meanwhile."""

    look: Look = field(default_factory=lambda: Neighbours(ApplicationTime()))
    found: dict[str, tuple[float, float]] = field(default_factory=dict)  # name: rate, cores of others

    def measure(self, name: str, rate: Callable[[], float]) -> None:
        self.look()
        new = rate()
        others = self.look() or 0.0
        old, before = self.found.get(name, (0.0, others))
        if others < Rates.QUIET <= before:
            self.found[name] = (new, others)
        elif before < Rates.QUIET <= others:
            return
        else:
            self.found[name] = (max(old, new), min(before, others))

    @property
    def others(self) -> float:
        """In the way of the worst of them."""
        return max((others for _, others in self.found.values()), default=0.0)

    def rate(self, name: str) -> float | None:
        return self.found[name][0] if name in self.found else None

    @property
    def layer_seconds(self) -> float:
        return min(MOST_LAYER_SECONDS, 1 / (self.rate(LAYERS) or 1.0))


def measure(report: Report, extra_buffer_types: bool = True, threads: int | None = None) -> Rates:
    """Raises Refusal with a sentence."""
    native.start()
    threads = threads or default_threads()
    windows, until = Windows(), perf_counter() + MOST_SECONDS
    with tempfile.TemporaryDirectory(prefix="slipstream-rates-") as name:
        try:
            things = _things(windows, Path(name), extra_buffer_types, threads)
            for number, (at, thing) in product(range(MOST_PASSES), enumerate(things)):
                is_enough = at == 0 and number >= NUM_PASSES and windows.others < Rates.QUIET
                if is_enough or (windows.rate(TYPES[0].name) and perf_counter() > until):
                    break
                again = ", again: other programs are at work" if number >= NUM_PASSES else ""
                report(Progress((number % NUM_PASSES + at / len(things)) / NUM_PASSES, f"Measuring {thing}{again}"))
                windows.measure(thing, things[thing])
        except NativeError as error:
            raise Refusal(f"The speed of this machine could not be measured: {error}.") from error
    by_type = {kind.name: rate for kind in TYPES if (rate := windows.rate(kind.name))}
    attention = {name: rate for name in ATTENTION if (rate := windows.rate(name))}
    return Rates(
        by_type, windows.layer_seconds, threads, windows.rate(GPU), windows.rate(MEMORY), windows.others, attention
    )  # fmt: skip


def _things(
    windows: Windows, folder: Path, extra_buffer_types: bool, threads: int
) -> dict[str, Callable[[], float]]:  # fmt: skip
    """What is measured, in this order, and how."""
    small = _write(folder / "small.gguf", Type.Q8_0, SMALL_WIDTH, MANY)
    deep = _write(folder / "deep.gguf", Type.Q4_0, ATTENTION_WIDTH, ATTENTION_LAYERS, wide_times=1)

    def of_type(kind: Type) -> float:
        return _rate(folder, kind, extra_buffer_types, threads, windows.layer_seconds)

    things: dict[str, Callable[[], float]] = {
        MEMORY: partial(_memory_rate, threads),
        LAYERS: lambda: MANY / _step_seconds(small, extra_buffer_types, threads),
    }
    if native.has_gpu():
        things[GPU] = lambda: _rate(folder, ON_GPU, extra_buffer_types, threads, 0.0, ALL_LAYERS)
    things |= {kind.name: partial(of_type, kind) for kind in TYPES}
    return things | {name: partial(_attention_rate, deep, name, extra_buffer_types, threads) for name in ATTENTION}


def _memory_rate(threads: int) -> float:
    """Bytes a second that all threads together read of the RAM, each from a block of its own: no step is quicker."""
    size = min(BLOCK, psutil.virtual_memory().available // (4 * threads))
    blocks = [np.ones(size, np.uint8) for _ in range(threads)]
    seconds = []
    for _ in range(NUM_READS):
        readers = [threading.Thread(target=block.max) for block in blocks]  # which lets other threads run
        begin = perf_counter()
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        seconds.append(perf_counter() - begin)
    return size * threads / min(seconds)


def _rate(
    folder: Path, kind: Type, extra_buffer_types: bool, threads: int, layer_seconds: float, gpu_layers: int = 0
) -> float:  # fmt: skip
    """Bytes a second."""
    block, block_bytes = gguf.GGML_QUANT_SIZES[kind]
    per_layer = int((4 + 3 * WIDE_TIMES) * WIDTH * WIDTH // block * block_bytes)
    layers = max(1, MOST_BYTES // per_layer)
    path = _write(folder / "large.gguf", kind, WIDTH, layers)
    seconds = _step_seconds(path, extra_buffer_types, threads, gpu_layers)
    least = seconds / 4  # what a layer takes besides is never most of it here
    return layers * per_layer / max(least, seconds - layers * layer_seconds)


def _step_seconds(path: Path, extra_buffer_types: bool, threads: int, gpu_layers: int = 0) -> float:
    """The quickest step of one token: what is slower was in the way of other programs, as it will be of an answer."""
    params = ContextParams(CONTEXT, 1, batch_tokens=16, threads=threads)
    seconds: list[float] = []
    with NativeModel(path, gpu_layers, extra_buffer_types) as model, NativeContext(model, params) as context:
        end = perf_counter() + SECONDS
        for position in range(NUM_STEPS + NUM_FIRST):
            begin = perf_counter()
            context.batch.put(0, [1], position, 0)
            context.batch.outputs[0] = 1
            context.decode(1)
            seconds.append(perf_counter() - begin)
            if perf_counter() > end and len(seconds) > NUM_FIRST:
                break
    return min(seconds[NUM_FIRST:])


def _attention_rate(path: Path, name: str, extra_buffer_types: bool, threads: int) -> float:
    """Numbers a second: by how much longer a step takes behind DEPTH tokens than at the beginning."""
    kind, flash = ATTENTION[name]
    params = ContextParams(2 * CELLS, 1, CELLS, threads, kind, kind, flash)
    with NativeModel(path, 0, extra_buffer_types) as model, NativeContext(model, params) as context:
        first = min(_put(context, position, 1) for position in range(NUM_FIRST + 1, NUM_FIRST + 7))
        context.memory.truncate(0, 0)
        _put(context, 0, DEPTH)
        deep = min(_put(context, DEPTH + at, 1) for at in range(6))
    numbers = CELLS * 2 * ATTENTION_WIDTH * ATTENTION_LAYERS
    beginning = MIN_CELLS * numbers / CELLS  # that the first steps go over, too
    return (numbers - beginning) / max(deep / 50, deep - first)  # it is never next to nothing


def _put(context: NativeContext, position: int, count: int) -> float:
    """Seconds that so many tokens take from there on."""
    begin = perf_counter()
    context.batch.put(0, [1] * count, position, 0)
    context.batch.outputs[count - 1] = 1
    context.decode(count)
    return perf_counter() - begin


def _write(path: Path, kind: Type, width: int, layers: int, wide_times: int = WIDE_TIMES) -> Path:
    TrialModel(width, wide_times * width, HEADS, HEADS, layers, VOCABULARY, CONTEXT).write_zeros(path, kind)
    return path
