"""What the GPU tests have done in processes of their own: looking at the device, filling it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from backends.child import Progress

Report = Callable[[Progress], None]
ALL = 999


@dataclass(frozen=True, slots=True)
class Seen:
    """Free bytes of the first GPU at some moments."""

    name: str
    total: int
    before: int
    loaded: int
    after: int


def look(_report: Report) -> Seen:
    from backends.llama import native

    native.start()
    (gpu, *_) = native.gpus()
    return Seen(gpu.name, gpu.total, gpu.free, gpu.free, gpu.free)


def load_and_unload(_report: Report, path: Path, num_cells: int) -> Seen:
    """Three times: what leaks would add up."""
    from backends.llama import native
    from backends.llama.context import ContextParams, NativeContext
    from backends.llama.native import NativeModel

    native.start()
    (gpu, *_) = native.gpus()
    params = ContextParams(num_cells, 1, batch_tokens=64, threads=1)
    loaded = gpu.free
    for _ in range(3):
        with NativeModel(path, ALL) as model, NativeContext(model, params) as context:
            context.batch.put(0, range(8), 0, 0)
            context.batch.outputs[:8] = 1
            context.decode(8)
            loaded = native.gpus()[0].free
    return Seen(gpu.name, gpu.total, gpu.free, loaded, native.gpus()[0].free)


def hold(report: Report, path: Path, num_cells: int) -> None:
    """Keeps so many cells on the device until it is ended."""
    import threading

    from backends.llama import native
    from backends.llama.context import ContextParams, NativeContext
    from backends.llama.native import NativeModel

    native.start()
    params = ContextParams(num_cells, 1, batch_tokens=64, threads=1)
    with NativeModel(path, ALL) as model, NativeContext(model, params):
        report(Progress(1.0, "holds"))
        threading.Event().wait()
