"""What is measured on a GPU, in a child: what lies where, and how long a token takes."""

import os
from pathlib import Path
from statistics import median
from time import perf_counter

from backends.child import Progress, Report
from backends.llama import dry_load, native
from backends.llama.context import NativeContext
from backends.llama.log import overheard
from backends.llama.native import NativeModel
from backends.llama.placement import default_threads
from backends.llama.told_buffers import told_buffers
from backends.measurement import ContextWish
from backends.protocol import EngineOptions

Wished = tuple[EngineOptions, ContextWish]
NUM_FIRST, NUM_STEPS = 3, 16


def device(_report: Report) -> dict[str, object]:
    """The first GPU."""
    native.start()
    (gpu, *_) = native.gpus()
    driver = os.environ.get("VK_ICD_FILENAMES", "")
    return {"name": gpu.name, "description": gpu.description, "total": gpu.total, "driver": Path(driver).name}


def load_each(report: Report, model: Path, wishes: list[Wished]) -> list[tuple[dict[tuple[str, str], int], int]]:
    """For each wish the bytes of its buffers by device and kind, and how much less of the first GPU was free.

    Without mapping: of a mapped file llama.cpp tells the whole stretch from the first tensor in RAM to the last, with
    what lies on the GPU between them.
    """
    native.start()
    found = []
    for number, (options, wish) in enumerate(wishes):
        report(Progress(number / len(wishes), model.name))
        placement, before = options.placement, native.gpus()[0].free
        assert placement
        params = dry_load.context_params(options, wish)
        with (
            overheard() as lines,
            NativeModel(model, placement.gpu_layers, placement=placement, is_mapped=False) as opened,
            NativeContext(opened, params),
        ):
            taken = before - native.gpus()[0].free
        found.append((dict(told_buffers("".join(lines))), taken))
    return found


def tokens_per_second(_report: Report, model: Path, wished: Wished) -> float:
    """Of one answer, by its median step."""
    from dataclasses import replace

    native.start()
    options, wish = wished
    placement = options.placement
    assert placement
    params = replace(dry_load.context_params(options, wish), threads=default_threads())
    with (
        NativeModel(model, placement.gpu_layers, placement=placement) as opened,
        NativeContext(opened, params) as context,
    ):
        seconds = []
        for position in range(NUM_FIRST + NUM_STEPS):
            begin = perf_counter()
            context.batch.put(0, [5 + position], position, 0)
            context.batch.outputs[0] = 1
            context.decode(1)
            seconds.append(perf_counter() - begin)
    return 1 / median(seconds[NUM_FIRST:])
