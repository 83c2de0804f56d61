"""Finds out in a child whether the installed build survives a quantized batch on this processor.

A build made by gcc 12 with AMX crashes at the first quantized batch of more than one row (llama.cpp issue #20824);
a build for another processor dies of an unknown instruction. Better here than under a person's chat.
It also measures whether flash attention pays on this processor: llama.cpp's kernel for it is quick for prompts, and
for single tokens far behind a long context it can be several times slower than none. And how long a turn of a spinning
thread takes, which differs by twenty times between processors.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import gguf
import numpy as np

from backends.child import Progress, Refusal, SelfTest
from backends.llama import native
from backends.llama.context import ContextParams, NativeContext
from backends.llama.native import NativeModel
from backends.llama.trial_model import TrialModel
from backends.llama.waiting import waiting

NUM_TOKENS = 16
DEPTH, NUM_STEPS = 1024, 15  # where and how often a step is timed
TINY = TrialModel(width=256, feed_forward=256, heads=4, kv_heads=4)
QUANTIZED = gguf.GGMLQuantizationType.Q8_0


def run(report: Callable[[Progress], None], extra_buffer_types: bool) -> SelfTest:
    """Decode 16 quantized tokens, then time steps behind 1,024. Raises Refusal for nonsense logits."""
    native.start()
    with tempfile.TemporaryDirectory(prefix="slipstream-selftest-") as folder:
        path = Path(folder) / "selftest.gguf"
        write_tiny_model(path)
        report(Progress(0.5, "Testing the engine"))
        with NativeModel(path, extra_buffer_types=extra_buffer_types) as model:
            params = ContextParams(num_cells=64, num_slots=1, batch_tokens=NUM_TOKENS, threads=1)
            with NativeContext(model, params) as context:
                check_batch(context)
            with_flash, without = (_step_seconds(model, flash) for flash in ("on", "off"))
    runtime = waiting()
    turn, wake = runtime.turn_seconds(), runtime.wake_seconds()
    return SelfTest(native.system_info(), with_flash / without, runtime.name, turn, runtime.problem, wake)


def check_batch(context: NativeContext) -> None:
    context.batch.put(0, range(NUM_TOKENS), 0, 0)
    context.batch.outputs[:NUM_TOKENS] = 1
    context.decode(NUM_TOKENS)
    if not np.isfinite(context.logits(NUM_TOKENS)).all():
        raise Refusal("The installed build of llama.cpp computes nonsense on this machine. Run `make engine`.")


def _step_seconds(model: NativeModel, flash_attention: str) -> float:
    """The quickest step of one token behind DEPTH others."""
    params = ContextParams(DEPTH + 256, 1, batch_tokens=256, threads=1, flash_attention=flash_attention)
    seconds = []
    with NativeContext(model, params) as context:
        for begin in range(0, DEPTH, 256):
            _decode(context, begin, 256)
        for _ in range(NUM_STEPS):
            begin_time = perf_counter()
            _decode(context, DEPTH, 1)
            seconds.append(perf_counter() - begin_time)
            context.memory.truncate(0, DEPTH)
    return min(seconds)


def _decode(context: NativeContext, begin: int, num_tokens: int) -> None:
    context.batch.put(0, np.arange(num_tokens) % TINY.vocabulary, begin, 0)
    context.batch.outputs[num_tokens - 1] = 1
    context.decode(num_tokens)


def write_tiny_model(path: Path) -> None:
    """One layer with random Q8_0 weights."""
    random = np.random.default_rng(0)

    def weights(*shape: int) -> np.ndarray[Any, Any]:
        quantized: np.ndarray[Any, Any] = gguf.quants.quantize(
            random.normal(0, 0.02, shape).astype(np.float32), QUANTIZED
        )
        return quantized

    TINY.write(path, QUANTIZED, weights)


if __name__ == "__main__":
    run(lambda _: None, extra_buffer_types=True)
