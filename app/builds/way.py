"""Which build a machine's GPU needs, and how it can be made here; or why not, and what to do about that. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from app.builds.machine import Gpu, Machine, Vendor, Version

# CUDA of the compiler that is fetched; its packages and this llama.cpp were compiled together. Every later driver runs
# what it makes, so a newer one is taken for newer cards alone.
TRIED, TRIED_UP_TO = (13, 0), (12, 1)
LEAST_CAPABILITY = (7, 5)  # CUDA 13 has left out Maxwell, Pascal and Volta
LEAST_DRIVER = "580"  # that runs CUDA 13; for CUDA 12 PyPI has no compiler, only a part of one (ptxas)
PARTS = "nvcc,crt,nvvm,cccl,cudart,cublas"
PYPI_PROCESSORS = ("x86_64", "aarch64")
COMPILER_BYTES = 700_000_000  # to download; on the disk 1.2 GB
# what the compiler had to be to know a card: (capability, CUDA)
KNOWN_SINCE = (((12, 0), (12, 8)), ((9, 0), (12, 0)), ((8, 9), (11, 8)), ((8, 6), (11, 1)), ((8, 0), (11, 0)))
NEEDED_HEADERS = (3, 240)  # of Vulkan: with Debian 12's 1.3.239 llama.cpp does not compile
VULKAN_PACKAGES = {"glslc": "glslc", "headers": "libvulkan-dev", "spirv": "spirv-headers", "loader": "libvulkan1"}
AGAIN = "then run the same command again"


class Kind(StrEnum):
    CUDA = "cuda"
    VULKAN = "vulkan"


@dataclass(frozen=True, slots=True)
class Way:
    """packages: what pip has to bring first, as requirements; empty where all is here. nvcc: the compiler that is here.

    name: of the build, without its version. cmake_args: for llama.cpp. does: what will be done, as a sentence's end.
    """

    kind: Kind
    gpu: Gpu
    name: str
    cmake_args: tuple[str, ...]
    does: str
    packages: tuple[str, ...] = ()
    nvcc: str | None = None

    @property
    def needs_compiler(self) -> bool:
        return bool(self.packages)


@dataclass(frozen=True, slots=True)
class Obstacle:
    """because, do: ends of sentences, as in “The GPU is not used, because …. Do ….”"""

    gpu: Gpu
    because: str
    do: str

    def __str__(self) -> str:
        return unused(self.gpu, self.because, self.do)


def unused(gpu: Gpu, because: str, do: str) -> str:
    """The one sentence for terminal, window and load event."""
    return f"The GPU ({gpu.name}) is not used, because {because}. {do}."


def way_for(machine: Machine) -> Way | Obstacle | None:
    """None: there is no GPU that needs a build of its own (Apple's is in every one there)."""
    gpu = machine.gpu
    if gpu is None or gpu.vendor is Vendor.APPLE:
        return None
    if machine.compiler is None:
        return Obstacle(gpu, "there is no C++ compiler to build for it with", f"{_compiler_advice(machine)}, {AGAIN}")
    if gpu.vendor is not Vendor.NVIDIA:
        return _by_vulkan(machine, gpu)
    by_cuda = _by_cuda(machine, gpu)
    if isinstance(by_cuda, Obstacle) and isinstance(by_vulkan := _by_vulkan(machine, gpu), Way):
        return by_vulkan
    return by_cuda


def architectures(capability: Version | None) -> str:
    """As CMake wants it: the card's own code alone. Of an unknown card PTX, which every driver finishes at a load."""
    if capability is None:
        return f"{LEAST_CAPABILITY[0]}{LEAST_CAPABILITY[1]}-virtual"
    # llama.cpp makes 120a of it itself
    return f"{capability[0]}{capability[1]}-real"


def _by_cuda(machine: Machine, gpu: Gpu) -> Way | Obstacle:
    if machine.driver is None:
        cure = f"Install NVIDIA's driver, {LEAST_DRIVER} or newer, {AGAIN}"
        return Obstacle(gpu, "its driver is not installed or does not answer", cure)
    if machine.toolkit and _serves(machine, gpu):
        return _way(gpu, f"with the CUDA compiler {machine.toolkit.nvcc}", nvcc=machine.toolkit.nvcc)
    if not machine.system.startswith("linux") or machine.processor not in PYPI_PROCESSORS:
        return Obstacle(gpu, "there is no CUDA compiler here", f"Install NVIDIA's CUDA toolkit, {AGAIN}")
    if machine.driver_cuda is not None and machine.driver_cuda < TRIED:
        because = f"its driver {machine.driver} runs no CUDA 13, and for older ones there is no compiler here"
        cure = f"Update the driver to {LEAST_DRIVER} or newer, or install the CUDA toolkit that fits it, {AGAIN}"
        return Obstacle(gpu, because, cure)
    if gpu.capability is not None and gpu.capability < LEAST_CAPABILITY:
        because = f"CUDA 13 leaves out its generation (compute capability {_dotted(gpu.capability)})"
        return Obstacle(gpu, because, f"Install the CUDA toolkit 12, {AGAIN}")
    cuda = _cuda_for(machine, gpu)
    size = f"{COMPILER_BYTES / 1e9:.1f} GB, without root"
    return _way(
        gpu,
        f"with the CUDA {_dotted(cuda)} compiler from PyPI ({size})",
        packages=(f"cuda-toolkit[{PARTS}]=={_dotted(cuda)}.*",),
    )


def _way(gpu: Gpu, does: str, packages: tuple[str, ...] = (), nvcc: str | None = None) -> Way:
    target = architectures(gpu.capability)
    arguments = ("-DGGML_CUDA=on", f"-DCMAKE_CUDA_ARCHITECTURES={target}")
    return Way(Kind.CUDA, gpu, f"cuda-{target.partition('-')[0]}", arguments, does, packages, nvcc)


def _serves(machine: Machine, gpu: Gpu) -> bool:
    """Whether the compiler that is here knows the card, and the driver runs what it makes."""
    version = machine.toolkit.version if machine.toolkit else None
    if version is None:
        return True  # it will say so itself
    if machine.driver_cuda is not None and version[0] > machine.driver_cuda[0]:
        return False
    if gpu.capability is None:
        return True
    is_left_out = version[0] >= 13 and gpu.capability < LEAST_CAPABILITY
    return not is_left_out and all(version >= since for card, since in KNOWN_SINCE if gpu.capability >= card)


def _cuda_for(machine: Machine, gpu: Gpu) -> Version:
    if gpu.capability is not None and gpu.capability > TRIED_UP_TO and machine.driver_cuda:
        return max(TRIED, machine.driver_cuda)
    return TRIED


def _by_vulkan(machine: Machine, gpu: Gpu) -> Way | Obstacle:
    vulkan = machine.vulkan
    lacks = {
        "loader": not vulkan.has_loader,
        "glslc": vulkan.glslc is None,
        "headers": vulkan.headers is None,
        "spirv": not vulkan.has_spirv,
    }
    missing = [VULKAN_PACKAGES[part] for part, is_missing in lacks.items() if is_missing]
    if missing:
        because = "what a Vulkan build is compiled with is not here"
        packages = f"Debian, Ubuntu: sudo apt-get install {' '.join(missing)}"
        return Obstacle(gpu, because, f"Install it ({packages}; elsewhere the Vulkan SDK), {AGAIN}")
    if vulkan.headers is not None and vulkan.headers < NEEDED_HEADERS:
        because = f"the Vulkan headers here (1.{_dotted(vulkan.headers)}) are too old for llama.cpp"
        return Obstacle(gpu, because, f"Install newer ones, as of the Vulkan SDK or of Debian 13, {AGAIN}")
    return Way(Kind.VULKAN, gpu, "vulkan", ("-DGGML_VULKAN=on",), "with Vulkan")


def _compiler_advice(machine: Machine) -> str:
    if machine.system == "darwin":
        return "Install one (xcode-select --install)"
    if machine.system == "win32":
        return "Install the Visual Studio Build Tools with C++"
    return "Install one (Debian, Ubuntu: sudo apt-get install build-essential; Fedora: sudo dnf install gcc-c++ make)"


def _dotted(version: Version) -> str:
    return f"{version[0]}.{version[1]}"
