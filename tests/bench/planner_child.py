"""What llama.cpp says that it would allocate for one model and many contexts: in a child, which it may end."""

import statistics
from dataclasses import replace
from pathlib import Path
from time import perf_counter

from backends.child import Progress, Report
from backends.llama import dry_load, native
from backends.llama.binding import lib
from backends.llama.context import NativeContext
from backends.llama.log import overheard
from backends.llama.native import NativeError, NativeModel
from backends.llama.told_buffers import WEIGHTS, by_device, context_buffers, told_buffers
from backends.measurement import Buffers, ContextWish, Rates
from backends.neighbours import ApplicationTime, Neighbours
from backends.protocol import EngineOptions

Wished = tuple[EngineOptions, ContextWish]
NUM_WINDOWS, NUM_STEPS = 4, 16


def measure(report: Report, model: Path, wishes: list[Wished]) -> tuple[int, list[Buffers | str]]:
    """Bytes of the weights, and for each wish the buffers, or why there are none."""
    native.start()
    with NativeModel(model, is_dry=True) as opened:
        found: list[Buffers | str] = []
        for number, (options, wish) in enumerate(wishes):
            report(Progress(number / len(wishes), model.name))
            try:
                with overheard() as lines, NativeContext(opened, dry_load.context_params(options, wish)):
                    pass
                found.append(context_buffers("".join(lines)))
            except NativeError as error:
                found.append(str(error))
        return int(lib.llama_model_size(opened.pointer)), found


def load(_report: Report, model: Path, wished: Wished) -> tuple[int, Buffers]:
    """The same of a model that is there, with weights and a cache that are really allocated."""
    native.start()
    with overheard() as lines, NativeModel(model) as opened, NativeContext(opened, dry_load.context_params(*wished)):
        pass
    text = "".join(lines)
    return sum(by_device(told_buffers(text), WEIGHTS).values()), context_buffers(text)


def step_seconds(
    report: Report, model: Path, wished: Wished, depth: int, threads: int, extra_buffer_types: bool = True
) -> tuple[float, float]:
    """The median step of one token behind so many others, in the quietest of some windows; and cores of others then."""
    native.start()
    params = replace(dry_load.context_params(*wished), threads=threads)
    look = Neighbours(ApplicationTime())
    windows: list[tuple[float, float]] = []
    with NativeModel(model, 0, extra_buffer_types) as opened, NativeContext(opened, params) as context:
        report(Progress(0.0, model.name))
        put(context, 0, depth)
        for number in range(NUM_WINDOWS):
            report(Progress(number / NUM_WINDOWS, model.name))
            look()
            seconds = [put(context, depth + number * NUM_STEPS + at, 1) for at in range(NUM_STEPS)]
            windows.append((look() or 0.0, statistics.median(seconds)))
    quiet = [each for each in windows if each[0] < Rates.QUIET] or [min(windows)]
    return min(seconds for _, seconds in quiet), max(others for others, _ in quiet)


def put(context: NativeContext, position: int, count: int) -> float:
    """Seconds that so many tokens take from there on."""
    begin = perf_counter()
    context.batch.put(0, [1 + at % 100 for at in range(count)], position, 0)
    context.batch.outputs[count - 1] = 1
    context.decode(count)
    return perf_counter() - begin
