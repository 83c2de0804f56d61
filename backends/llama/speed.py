"""How fast a model file is on this machine, and what it takes: short runs, medians. Runs in a child of its own, so that
its memory is the model's."""

import statistics
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import psutil

from backends.child import Progress, Refusal, Report
from backends.llama import native
from backends.llama.context import ContextParams, NativeContext
from backends.llama.native import NativeError, NativeModel
from backends.llama.placement import default_threads, device_name
from backends.llama.reading import checked_header, open_model
from backends.llama.threads import Following, NativeThreads
from backends.measurement import Speed
from backends.protocol import EngineOptions

CONTEXT = 1024
PROMPT, ANSWER = 512, 32  # tokens of one run
NUM_RUNS = 3
RUN_SECONDS = 5.0  # a run of single tokens ends after so long


def measure(report: Report, model: Path, options: EngineOptions) -> Speed:
    """Raises Refusal with a sentence."""
    native.start()
    options = replace(options, context=CONTEXT)
    header = checked_header(model, options)
    free = _free_vram()
    report(Progress(0.0, f"Loading {model.name}"))
    with ExitStack() as resources:
        begin = time.perf_counter()
        opened, layers = open_model(header, options, resources)
        if not (opened.has_vocabulary and opened.has_decoder):
            raise Refusal(f"{model.name} is not a model that generates text, so it has no speed to measure.")
        threads = options.threads or default_threads()
        following = NativeThreads(threads)
        resources.callback(following.close)
        context = resources.enter_context(_context(opened, options, following.of_target(), threads))
        _decode(context, 0, 1)  # the first step allocates
        load_seconds = time.perf_counter() - begin
        size = min(PROMPT, opened.context_trained - ANSWER, context.batch_tokens)
        prompt = _runs(report, "Reading a prompt", 0.2, lambda: _read(context, size))
        decode = _runs(report, "Writing an answer", 0.6, lambda: _write(context))
        used = _free_vram()
        return Speed(
            load_seconds=load_seconds,
            prompt_per_second=prompt,
            decode_per_second=decode,
            memory_bytes=peak_memory(),
            vram_bytes=None if free is None or used is None else max(0, free - used),
            device=device_name(layers, native.devices()),
            threads=threads,
            build=native.version(),
        )


def _runs(report: Report, text: str, begin: float, run: Callable[[], float]) -> float:
    """The median of some runs, after one that does not count."""
    rates = []
    for number in range(NUM_RUNS + 1):
        report(Progress(begin + 0.4 * number / (NUM_RUNS + 1), text))
        rates.append(run())
    return statistics.median(rates[1:])


def _read(context: NativeContext, size: int) -> float:
    """Tokens per second of one batch."""
    context.memory.truncate(0, 0)
    begin = time.perf_counter()
    _decode(context, 0, size)
    return size / (time.perf_counter() - begin)


def _write(context: NativeContext) -> float:
    """Tokens per second, one after the other."""
    context.memory.truncate(0, 0)
    begin = time.perf_counter()
    for position in range(ANSWER):
        _decode(context, position, 1)
        seconds = time.perf_counter() - begin
        if seconds > RUN_SECONDS:
            break
    return (position + 1) / seconds


def _decode(context: NativeContext, position: int, count: int) -> None:
    """`count` tokens from that position on, the last one's logits wanted; which ones they are does not matter."""
    num_tokens = context.model.vocabulary.num_tokens
    context.batch.put(0, [at * 7919 % num_tokens for at in range(position, position + count)], position, 0)
    context.batch.outputs[count - 1] = 1
    if context.decode(count):
        raise Refusal("The KV cache has no room for a short run.")


def _context(model: NativeModel, options: EngineOptions, following: Following, threads: int) -> NativeContext:
    params = ContextParams(CONTEXT, 1, PROMPT, threads, options.kv_type_k, options.kv_type_v, following=following)
    try:
        return NativeContext(model, params)
    except NativeError as error:
        raise Refusal(f"The model could not be given a context of {CONTEXT} tokens: {error}.") from error


def _free_vram() -> int | None:
    gpus = [gpu.free for gpu in native.gpus()]
    return sum(gpus) if gpus else None


def peak_memory() -> int:
    """The most that this process held in RAM, in bytes; weights mapped from the file count once they were touched.

    Linux's ru_maxrss is not asked: a spawned child inherits its parent's.
    """
    if sys.platform == "linux":
        for line in Path("/proc/self/status").read_text("ascii", "replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10
