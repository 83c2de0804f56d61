"""Decides how many layers go to the GPU: all that the person asked for, else what was planned, else all if they fit,
else none.

And whether the context can fit at all, before anything is allocated: some systems promise more memory than they have,
and end the process that believes them.
"""

from dataclasses import dataclass
from pathlib import Path

import psutil

from backends.engine.runner import LoadError
from backends.formats.gguf import Header
from backends.formats.kv_shape import KVShape
from backends.llama.native import NativeDevice
from backends.protocol import DeviceMemory, EngineOptions, FailureKind
from backends.protocol import Placement as Planned
from backends.system_memory import system_memory

ALL_LAYERS = 999
CUDA = ("CUDA", "ROCm")  # names of the devices that ggml-cuda computes on
# beside the weights a GPU holds the KV cache, the compute buffers and the driver's own context
OVERHEAD_FACTOR = 1.15
OVERHEAD_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Placement:
    """Layer counts to try in turn, and the sentence for the load event when the GPU is passed over."""

    attempts: tuple[int, ...]
    note: str | None = None
    planned: Planned | None = None  # how the layers of the first attempt lie


def place(weights: int, options: EngineOptions, devices: tuple[NativeDevice, ...]) -> Placement:
    """`weights`: bytes of all files that will be loaded, the draft's too."""
    if options.gpu_layers is not None:
        return Placement((options.gpu_layers,))
    if (planned := options.placement) is not None:
        return Placement((planned.gpu_layers, 0) if planned.gpu_layers else (0,), planned.note, planned)
    gpus = [device for device in devices if device.is_gpu]
    if not gpus:
        return Placement((0,))
    free = sum(device.free for device in gpus)
    needed = int(weights * OVERHEAD_FACTOR) + OVERHEAD_BYTES
    if needed <= free:
        return Placement((ALL_LAYERS, 0))
    note = (
        f"The model needs about {_gib(needed)} on the GPU and {_gib(free)} are free, so it runs on the CPU. "
        "Choose a number of GPU layers to put a part of it there."
    )
    return Placement((0,), note)


def free_bytes(placement: Placement, devices: tuple[NativeDevice, ...]) -> int:
    """What the KV cache could have at most: the RAM, and that of the GPUs if layers may go there."""
    gpus = sum(device.free for device in devices if device.is_gpu)
    return system_memory().available + (gpus if any(placement.attempts) else 0)


def check_context(header: Header, context: int, options: EngineOptions, free: int) -> None:
    """Raises LoadError for a context whose KV cache alone is larger than `free` bytes."""
    each = KVShape.of(header).bytes_per_token(options.kv_type_k, options.kv_type_v)
    needed = round(context * each)
    if needed > free:
        raise LoadError(
            FailureKind.OUT_OF_MEMORY,
            f"A context of {context:,} tokens needs {_gib(needed)} for the KV cache of {header.path.name}, and "
            f"{_gib(free)} are free. Choose fewer than {int(free // each):,} tokens, or a quantized KV cache.",
        )


def device_name(gpu_layers: int, devices: tuple[NativeDevice, ...]) -> str:
    """ "CPU", or the GPUs that hold the layers."""
    gpus = [f"{device.name} ({device.description})" for device in devices if device.is_gpu]
    return " + ".join(gpus) if gpu_layers and gpus else "CPU"


def gpu_memory(devices: tuple[NativeDevice, ...]) -> tuple[DeviceMemory, ...]:
    return tuple(DeviceMemory(device.name, device.free, device.total) for device in devices if device.is_gpu)


def default_threads() -> int:
    """One for each core: a core's second thread of the processor's own adds little."""
    return psutil.cpu_count(logical=False) or 1


def total_bytes(*files: Path | None) -> int:
    return sum(file.stat().st_size for file in files if file and file.is_file())


def _gib(size: int) -> str:
    return f"{size / (1 << 30):.1f} GiB"
