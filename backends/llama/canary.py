"""A fixed prompt on a build: what it computes, how fast, in how much memory. Two builds' results are then compared.

What is computed comes from the self-test's tiny model, whose rows are all looked at; the speed from a model of 100
million random weights, for on the tiny one every device is as fast as its launches are.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import gguf
import numpy as np
import psutil

from backends.build_report import Canary
from backends.child import Progress
from backends.llama import native
from backends.llama.context import ContextParams, NativeContext
from backends.llama.native import NativeModel
from backends.llama.placement import ALL_LAYERS, default_threads, device_name
from backends.llama.selftest import TINY, check_batch, write_tiny_model
from backends.llama.trial_model import TrialModel

NUM_TOKENS, NUM_KEPT = 32, 4  # places of the prompt, and of how many all logits are kept
LARGE = TrialModel(width=1024, feed_forward=2816, heads=16, kv_heads=8, layers=8, vocabulary=4096, context=512)
PROMPT, NUM_STEPS, NUM_ROUNDS = 128, 24, 3
TOO_SLOW = 0.25  # seconds for one token, after which nothing more is measured: a prompt could take minutes
QUANTIZED, BLOCK, BLOCK_BYTES = gguf.GGMLQuantizationType.Q4_0, 32, 18
SCALE = np.frombuffer(np.float16(0.01).tobytes(), np.uint8)  # of every block


def run(report: Callable[[Progress], None], extra_buffer_types: bool = True) -> Canary:
    """All layers on the GPU where the build has one. Raises Refusal for nonsense, NativeError when it cannot load."""
    native.start()
    layers = ALL_LAYERS if native.has_gpu() else 0
    with tempfile.TemporaryDirectory(prefix="slipstream-canary-") as folder:
        tiny, large = Path(folder) / "tiny.gguf", Path(folder) / "large.gguf"
        write_tiny_model(tiny)
        report(Progress(0.1, "Comparing the engine build"))
        tokens, logits = _computed(tiny, layers, extra_buffer_types)
        write_random_model(large)
        report(Progress(0.4, "Measuring the engine build"))
        prompt, predicted, num_bytes = _measured(large, layers, extra_buffer_types)
    return Canary(device_name(layers, native.devices()), tokens, logits, prompt, predicted, num_bytes)


def _computed(path: Path, layers: int, extra_buffer_types: bool) -> tuple[tuple[int, ...], tuple[float, ...]]:
    params = ContextParams(num_cells=64, num_slots=1, batch_tokens=NUM_TOKENS, threads=1)
    with NativeModel(path, layers, extra_buffer_types) as model, NativeContext(model, params) as context:
        check_batch(context)  # of half as many
        context.memory.truncate(0, 0)
        context.batch.put(0, np.arange(NUM_TOKENS) * 7 % TINY.vocabulary, 0, 0)
        context.batch.outputs[:NUM_TOKENS] = 1
        context.decode(NUM_TOKENS)
        logits = context.logits(NUM_TOKENS)
        return tuple(logits.argmax(axis=1).tolist()), tuple(logits[-NUM_KEPT:].ravel().tolist())


def _measured(path: Path, layers: int, extra_buffer_types: bool) -> tuple[float, float, int]:
    """Prompt and answer in tokens per second, and bytes."""
    before = _in_use()
    params = ContextParams(512, 1, batch_tokens=PROMPT, threads=default_threads())
    with NativeModel(path, layers, extra_buffer_types) as model, NativeContext(model, params) as context:
        num_bytes = max(0, _in_use() - before)
        _decode(context, 0, 1)  # a GPU's kernels may be compiled for it now
        step = min(_decode(context, at, 1) for at in range(1, 4))
        if step > TOO_SLOW:
            return 0.0, 1 / step, num_bytes
        rounds = [_round(context) for _ in range(NUM_ROUNDS)]
    return max(each[0] for each in rounds), max(each[1] for each in rounds), num_bytes


def _round(context: NativeContext) -> tuple[float, float]:
    context.memory.truncate(0, 0)
    prompt = _decode(context, 0, PROMPT)
    steps = sorted(_decode(context, PROMPT + step, 1) for step in range(NUM_STEPS))
    return PROMPT / prompt, 1 / steps[NUM_STEPS // 2]


def _decode(context: NativeContext, begin: int, num_tokens: int) -> float:
    """In seconds, until the device has its logits."""
    context.batch.put(0, np.arange(begin, begin + num_tokens) * 7 % LARGE.vocabulary, begin, 0)
    context.batch.outputs[:num_tokens] = 0
    context.batch.outputs[num_tokens - 1] = 1
    begin_time = perf_counter()
    context.decode(num_tokens)
    context.logits(1)
    return perf_counter() - begin_time


def _in_use() -> int:
    return psutil.Process().memory_info().rss + sum(device.total - device.free for device in native.gpus())


def write_random_model(path: Path) -> None:
    """Random Q4_0 weights: 98 million of them, 57 MB."""
    random = np.random.default_rng(0)
    LARGE.write(path, QUANTIZED, lambda *shape: _weights(random, *shape))


def _weights(random: np.random.Generator, rows: int, columns: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    """Blocks of Q4_0 as ggml has them: a scale, and 32 numbers of four bits."""
    blocks = random.integers(0, 256, (rows, columns // BLOCK, BLOCK_BYTES), np.uint8)
    blocks[:, :, :2] = SCALE
    return blocks.reshape(rows, -1)
