"""What this machine has to compute on and to compile with: GPUs, driver, CUDA compiler, Vulkan, C++ compiler.

Pure over `Probes`. No library of a GPU is loaded, and a card that sleeps is left asleep: sysfs names it, and only
`nvidia-smi`, which is asked when one is awake, knows more.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from app.builds.probes import Probes

Version = tuple[int, int]

PCI = "/sys/bus/pci/devices"
DISPLAY = ("0x0300", "0x0302", "0x0380")  # PCI classes: VGA, 3D and other display controllers
INTEGRATED_INTEL = "0000:00:02.0"  # where Intel's processors have theirs, always
SMALL_VRAM = 4 << 30  # bytes: an APU sets aside less of the RAM than a card has
MIB = 1 << 20
SMI_FIELDS = ("name", "driver_version", "memory.total", "compute_cap")
TOOLKITS = ("/usr/local/cuda/bin/nvcc", "/opt/cuda/bin/nvcc")  # where installers put it, mostly not on the PATH
VULKAN_HEADERS = ("/usr/include/vulkan/vulkan_core.h", "/usr/local/include/vulkan/vulkan_core.h")
SPIRV = ("/usr/share/cmake/SPIRV-Headers", "/usr/lib/cmake/SPIRV-Headers", "/usr/local/share/cmake/SPIRV-Headers")
LOADER = "libvulkan.so.1"
COMPILERS = ("c++", "g++", "clang++", "cl")


class Vendor(StrEnum):
    NVIDIA = "NVIDIA"
    AMD = "AMD"
    INTEL = "Intel"
    APPLE = "Apple"


VENDORS = {"0x10de": Vendor.NVIDIA, "0x1002": Vendor.AMD, "0x8086": Vendor.INTEL}


@dataclass(frozen=True, slots=True)
class Gpu:
    """memory: bytes of its own. capability: NVIDIA's compute capability. is_integrated: it shares the RAM."""

    vendor: Vendor
    name: str
    memory: int | None = None
    capability: Version | None = None
    is_integrated: bool = False


@dataclass(frozen=True, slots=True)
class Toolkit:
    """A CUDA compiler. version: None where it does not tell."""

    nvcc: str
    version: Version | None


@dataclass(frozen=True, slots=True)
class Vulkan:
    """What a Vulkan build is compiled with. headers: as (minor, patch) of 1.x, None where there are none."""

    has_loader: bool
    glslc: str | None
    headers: Version | None
    has_spirv: bool


@dataclass(frozen=True, slots=True)
class Machine:
    """driver: NVIDIA's, as it calls itself; driver_cuda: the newest CUDA that it runs. compiler: for C++."""

    system: str
    processor: str
    gpus: tuple[Gpu, ...]
    driver: str | None
    driver_cuda: Version | None
    toolkit: Toolkit | None
    vulkan: Vulkan
    compiler: str | None

    @property
    def gpu(self) -> Gpu | None:
        """The one that a build should be for: with most memory, an integrated one last; None without any."""
        return max(self.gpus, key=lambda gpu: (not gpu.is_integrated, gpu.memory or 0), default=None)


def look(probes: Probes | None = None, *, is_whole: bool = False) -> Machine:
    """Takes up to a second where `nvidia-smi` is asked. Raises nothing.

    is_whole: compilers are looked for also where there is no GPU to build for, which costs two more programs.
    """
    probes = probes or Probes()
    on_bus = _on_bus(probes) if probes.system.startswith("linux") else []
    smi = None if _all_asleep(probes) else _ask_smi(probes)
    nvidia = smi.gpus if smi else tuple(gpu for gpu in on_bus if gpu.vendor is Vendor.NVIDIA)
    others = tuple(gpu for gpu in on_bus if gpu.vendor is not Vendor.NVIDIA)
    gpus = (*nvidia, *others, *_apple(probes))
    driver = (smi.driver if smi else None) or _kernel_driver(probes)
    is_whole = is_whole or bool(gpus)
    return Machine(
        probes.system,
        probes.processor,
        gpus,
        driver,
        (smi.cuda if smi else None) or _cuda_of(driver),
        _toolkit(probes) if is_whole else None,
        _vulkan(probes) if is_whole else Vulkan(False, None, None, False),
        next((found for name in COMPILERS if (found := probes.which(name))), None),
    )


@dataclass(frozen=True, slots=True)
class _Smi:
    gpus: tuple[Gpu, ...]
    driver: str | None
    cuda: Version | None


def _ask_smi(probes: Probes) -> _Smi | None:
    """None without a driver that works. An old nvidia-smi knows no compute_cap, and refuses the whole question."""
    program = probes.which("nvidia-smi")
    if program is None:
        return None
    for fields in (SMI_FIELDS, SMI_FIELDS[:3]):
        said = probes.run((program, f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"))
        rows = [[cell.strip() for cell in line.split(",")] for line in (said or "").splitlines() if line.strip()]
        if rows and all(len(row) == len(fields) for row in rows):
            return _Smi(tuple(map(_gpu_of, rows)), rows[0][1] or None, _smi_cuda(probes, program))
    table = probes.run((program,))
    if table is None:
        return None
    found = re.search(r"Driver Version:\s*([\d.]+)", table)
    return _Smi((Gpu(Vendor.NVIDIA, "NVIDIA GPU"),), found[1] if found else None, version_in(r"CUDA Version:", table))


def _gpu_of(row: list[str]) -> Gpu:
    name, _driver, memory, *capability = row
    whole = int(memory) * MIB if memory.isdigit() and len(memory) < 9 else None  # "[N/A]" on some
    name = name if name.startswith("NVIDIA") else f"NVIDIA {name}"
    return Gpu(Vendor.NVIDIA, name[:80], whole, version_in("^", capability[0]) if capability else None)


def _smi_cuda(probes: Probes, program: str) -> Version | None:
    return version_in(r"CUDA Version:", probes.run((program,)) or "")


def _kernel_driver(probes: Probes) -> str | None:
    found = re.search(r"Kernel Module\D*(\d+\.\d[\d.]*)", probes.read("/proc/driver/nvidia/version") or "")
    return found[1] if found else None


def _cuda_of(driver: str | None) -> Version | None:
    """The least that a driver of this number runs (CUDA release notes, table of driver versions)."""
    major = int(driver.partition(".")[0]) if driver and driver.partition(".")[0].isdigit() else 0
    return (13, 0) if major >= 580 else (12, 0) if major >= 525 else (11, 0) if major >= 450 else None


def _on_bus(probes: Probes) -> list[Gpu]:
    gpus = []
    for device in probes.glob(PCI, "*"):
        vendor = VENDORS.get(probes.read(f"{device}/vendor") or "")
        if vendor and (probes.read(f"{device}/class") or "").startswith(DISPLAY):
            gpus.append(_card(probes, device, vendor))
    return gpus


def _card(probes: Probes, device: str, vendor: Vendor) -> Gpu:
    text = probes.read(f"{device}/mem_info_vram_total") or ""  # amdgpu's
    memory = int(text) if text.isdigit() and len(text) < 16 else None
    is_small = vendor is Vendor.AMD and memory is not None and memory < SMALL_VRAM
    is_integrated = is_small or (vendor is Vendor.INTEL and device.endswith(INTEGRATED_INTEL))
    name = (probes.read(f"{device}/product_name") or "").strip() or f"{vendor} GPU"
    return Gpu(vendor, name[:80], memory, None, is_integrated)


def _all_asleep(probes: Probes) -> bool:
    """Every NVIDIA card that is on the bus is suspended: to ask the driver would wake it."""
    states = [
        probes.read(f"{device}/power/runtime_status")
        for device in probes.glob(PCI, "*")
        if VENDORS.get(probes.read(f"{device}/vendor") or "") is Vendor.NVIDIA
        and (probes.read(f"{device}/class") or "").startswith(DISPLAY)
    ]
    return bool(states) and all(state == "suspended" for state in states)


def _apple(probes: Probes) -> tuple[Gpu, ...]:
    is_apple = probes.system == "darwin" and probes.processor == "arm64"
    return (Gpu(Vendor.APPLE, "Apple GPU", is_integrated=True),) if is_apple else ()


def _toolkit(probes: Probes) -> Toolkit | None:
    homes = [home for name in ("CUDA_HOME", "CUDA_PATH") if (home := probes.environment.get(name))]
    places = [probes.which("nvcc"), *(probes.which(f"{home}/bin/nvcc") for home in homes), *map(probes.which, TOOLKITS)]
    for nvcc in dict.fromkeys(place for place in places if place):
        said = probes.run((nvcc, "--version"))
        if said is not None:
            return Toolkit(nvcc, version_in(r"release", said))
    return None


def _vulkan(probes: Probes) -> Vulkan:
    headers = next((text for path in VULKAN_HEADERS if (text := _headers(probes, path))), None)
    has_spirv = any(probes.glob(folder, "*.cmake") for folder in SPIRV)
    return Vulkan(_has_loader(probes), probes.which("glslc"), headers, has_spirv)


def _headers(probes: Probes, path: str) -> Version | None:
    """VK_HEADER_VERSION_COMPLETE stands too deep in the file to be read whole: grep knows."""
    said = probes.run(("grep", "-m2", "-E", "define VK_HEADER_VERSION(_COMPLETE)? ", path)) or ""
    patch = re.search(r"VK_HEADER_VERSION (\d{1,5})", said)
    minor = re.search(r"VK_MAKE_API_VERSION\(0, 1, (\d{1,3})", said)
    return (int(minor[1]) if minor else 0, int(patch[1])) if patch else None


def _has_loader(probes: Probes) -> bool:
    folders = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib")
    return any(probes.glob(folder, LOADER) for folder in folders)


def version_in(before: str, text: str) -> Version | None:
    """The first “major.minor” behind a pattern."""
    found = re.search(rf"{before}\s*(\d{{1,4}})\.(\d{{1,4}})", text, re.MULTILINE)
    return (int(found[1]), int(found[2])) if found else None
