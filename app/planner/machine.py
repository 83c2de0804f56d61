"""What a machine has for models: its RAM, its GPUs' own memory, and how fast each gives weights to a step."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

RAM = "RAM"
MIB, GIB = 1 << 20, 1 << 30
GPU_CONTEXT = 400 * MIB  # of a CUDA or ROCm process: the driver's context, kernels and cuBLAS
GPU_REST = 64 * MIB  # where the figure was asked by a process that has such a context itself
LARGEST_MARGIN = GIB  # as much as llama.cpp's own fitting leaves
LEAST_MARGIN = 64 * MIB
USABLE_RAM, USABLE_VRAM = 0.85, 0.92  # of all, where it is not known what other programs use
CONTEXT_KINDS = ("CUDA", "ROCm")


@dataclass(frozen=True, slots=True)
class Gpu:
    """free: bytes that nobody uses now. rate: bytes of weights a second, None where nobody has measured it.

    is_shared: its memory is the RAM. is_asked_inside: `free` was said by a process with a context of its own.
    """

    name: str
    free: int
    total: int
    rate: float | None = None
    is_shared: bool = False
    is_asked_inside: bool = True

    @property
    def usable(self) -> int:
        """What a model may have of it."""
        return max(0, self.free - self._kept)

    def offering(self, usable: int) -> "Gpu":
        """With so much for a model."""
        return replace(self, free=usable + self._kept)

    @property
    def _kept(self) -> int:
        """For other programs, and for the driver's part of a process."""
        fixed = (GPU_REST if self.is_asked_inside else GPU_CONTEXT) if self.name.startswith(CONTEXT_KINDS) else 0
        return margin(self.total) + fixed


@dataclass(frozen=True, slots=True)
class Machine:
    """ram_free: bytes, with what is unloaded before. rates: bytes of weights a second that the processor gets through,
    by tensor type; empty where nobody has measured them. disk_rate: bytes a second."""

    ram_free: int
    ram_total: int
    gpus: tuple[Gpu, ...] = ()
    rates: Mapping[str, float] = field(default_factory=dict)
    layer_seconds: float = 0.0  # that a layer takes whatever it weighs
    disk_rate: float | None = None
    attention: Mapping[str, float] = field(default_factory=dict)  # as in backends.measurement.Rates
    rates_are_quiet: bool = True  # no other program was at work when they were measured

    @classmethod
    def at_rest(cls, ram: int, vram: int | None = None) -> "Machine":
        """By what is built in, of which other programs leave most: for what is not here yet."""
        gpus = () if vram is None else (Gpu("GPU", int(USABLE_VRAM * vram) + margin(vram), vram),)
        return cls(int(USABLE_RAM * ram) + margin(ram), ram, gpus)

    @property
    def ram_usable(self) -> int:
        return max(0, self.ram_free - margin(self.ram_total))

    @property
    def all_usable(self) -> int:
        return self.ram_usable + sum(gpu.usable for gpu in self.gpus if not gpu.is_shared)

    def without(self, taken: Mapping[str, int]) -> "Machine":
        """After others have taken so many bytes of each device; of what is given back the count is negative."""
        gpus = tuple(replace(gpu, free=gpu.free - taken.get(gpu.name, 0)) for gpu in self.gpus)
        return replace(self, ram_free=self.ram_free - taken.get(RAM, 0), gpus=gpus)

    def offering(self, usable: Mapping[str, int]) -> "Machine":
        """With so many bytes of each device for a model, and nothing of those that are not named."""
        gpus = tuple(gpu.offering(max(0, usable.get(gpu.name, 0))) for gpu in self.gpus)
        return replace(self, ram_free=max(0, usable.get(RAM, 0)) + margin(self.ram_total), gpus=gpus)


def margin(total: int) -> int:
    """What is left to other programs."""
    return max(LEAST_MARGIN, min(LARGEST_MARGIN, total // 16))
