"""Decides how many layers go to the GPU: all that the person asked for, else all if they fit, else none."""

from dataclasses import dataclass
from pathlib import Path

from backends.llama.native import NativeDevice
from backends.protocol import EngineOptions

ALL_LAYERS = 999
# beside the weights a GPU holds the KV cache, the compute buffers and the driver's own context
OVERHEAD_FACTOR = 1.15
OVERHEAD_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Placement:
    """Layer counts to try in turn, and the sentence for the load event when the GPU is passed over."""

    attempts: tuple[int, ...]
    note: str | None = None


def place(weights: int, options: EngineOptions, devices: tuple[NativeDevice, ...]) -> Placement:
    """`weights`: bytes of all files that will be loaded, the draft's too."""
    if options.gpu_layers is not None:
        return Placement((options.gpu_layers,))
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


def device_name(gpu_layers: int, devices: tuple[NativeDevice, ...]) -> str:
    """ "CPU", or the GPUs that hold the layers."""
    gpus = [f"{device.name} ({device.description})" for device in devices if device.is_gpu]
    return " + ".join(gpus) if gpu_layers and gpus else "CPU"


def total_bytes(*files: Path | None) -> int:
    return sum(file.stat().st_size for file in files if file and file.is_file())


def _gib(size: int) -> str:
    return f"{size / (1 << 30):.1f} GiB"
