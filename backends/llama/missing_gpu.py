"""A build for GPUs that finds none says so: else a driver that is gone shows as nothing but slowness."""

from collections.abc import Iterable

from backends.gpu_libraries import gpu_kind
from backends.llama.binding import libraries
from backends.llama.native import NativeDevice
from backends.protocol import EngineOptions


def missing_gpu(devices: Iterable[NativeDevice], options: EngineOptions) -> tuple[str, ...]:
    """A sentence for the load event, or none where nothing is missing or the person wants no layer there."""
    kind = gpu_kind(libraries())
    if kind is None or options.gpu_layers == 0 or any(device.is_gpu for device in devices):
        return ()
    return (
        f"The GPU is not used, because the engine build for {kind} finds no GPU: its driver may be gone, or an "
        "environment variable hides it. “slipstream doctor” says what to do.",
    )
