"""What a build of llama.cpp says of itself, as values: receiving it imports no native library."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BuildDevice:
    """One device that the build can compute on, now; memory in bytes."""

    name: str
    description: str
    is_gpu: bool
    free: int
    total: int


@dataclass(frozen=True, slots=True)
class BuildReport:
    """version: llama.cpp's own. binding: of llama-cpp-python. system_info: its switches, and CUDA's architectures.

    problem: why this build cannot be used with this binding, as a sentence; None: versions and structs go together.
    """

    version: str
    binding: str
    system_info: str
    supports_gpu: bool
    devices: tuple[BuildDevice, ...]
    problem: str | None = None

    @property
    def gpus(self) -> tuple[BuildDevice, ...]:
        return tuple(device for device in self.devices if device.is_gpu)


@dataclass(frozen=True, slots=True)
class Canary:
    """A fixed prompt on one build. tokens: the likeliest behind each of its places; logits: of the last ones, flat.

    Speeds in tokens per second, 0.0 where one was too slow to be measured. num_bytes: memory that it took, on GPUs
    and in RAM together.
    """

    device: str
    tokens: tuple[int, ...]
    logits: tuple[float, ...]
    prompt_per_second: float
    predicted_per_second: float
    num_bytes: int
