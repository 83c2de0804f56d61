"""NVIDIA's cards by NVML (nvidia-ml-py). Knows when not to ask: an open handle keeps a GPU awake.

What a process holds is told on Linux alone: under Windows' WDDM the driver never has it.
"""

from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from app.telemetry.sample import Gpu
from app.telemetry.sysfs import is_asleep as is_suspended
from app.telemetry.sysfs import text

PCI_DEVICES = Path("/sys/bus/pci/devices")
NVIDIA_VENDOR = "0x10de"
DISPLAY_CLASS = "0x03"
CLOCK_SM, CLOCK_MEMORY, TEMPERATURE_GPU = 1, 2, 0  # of nvml.h
THROTTLE = (  # bits of nvmlClocksEventReasons, the worst first
    (0x40, "too hot"),
    (0x20, "too hot"),
    (0x80, "power brake"),
    (0x08, "hardware slowdown"),
    (0x04, "power limit"),
)
TRANSFERS = 2  # for each tick of the memory's clock


def _nobody() -> Collection[int]:
    return ()


class NvidiaProvider:
    """Opens NVML with the first read and holds it until close(). pids: of our engines."""

    def __init__(self, pids: Callable[[], Collection[int]] = _nobody, pci_devices: Path = PCI_DEVICES):
        self._pids = pids
        self._pci_devices = pci_devices
        self._nvml: Any = None

    def read(self) -> tuple[Gpu, ...] | None:
        """The largest first."""
        if self._nvml is None and not self._open():
            return None
        nvml = self._nvml
        indices = range(nvml.nvmlDeviceGetCount())
        found = [_gpu(nvml, nvml.nvmlDeviceGetHandleByIndex(i), i, set(self._pids())) for i in indices]
        return tuple(sorted(found, key=lambda gpu: -(gpu.total or 0))) or None

    def close(self) -> None:
        nvml, self._nvml = self._nvml, None
        if nvml is not None:
            nvml.nvmlShutdown()

    def _open(self) -> bool:
        """False while every card sleeps. Raises NVMLError without a driver."""
        if is_asleep(self._pci_devices):
            return False
        import pynvml

        pynvml.nvmlInit()
        self._nvml = pynvml
        return True


def _gpu(nvml: Any, handle: Any, index: int, pids: set[int]) -> Gpu:
    """What one card does not tell costs that figure."""

    def ask(name: str, *arguments: Any) -> Any:
        with suppress(Exception):
            return getattr(nvml, f"nvmlDeviceGet{name}")(handle, *arguments)
        return None

    memory, name = ask("MemoryInfo"), ask("Name")
    reasons, usage = ask("CurrentClocksThrottleReasons"), ask("UtilizationRates")
    return Gpu(
        name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name or "NVIDIA GPU"),
        f"NVML, GPU {index}",
        used=None if memory is None else int(memory.used),
        total=None if memory is None else int(memory.total),
        own=_own(ask("ComputeRunningProcesses"), pids),
        load=None if usage is None else usage.gpu / 100,
        celsius=ask("Temperature", TEMPERATURE_GPU),
        watts=_thousandth(ask("PowerUsage")),
        watts_limit=_thousandth(ask("EnforcedPowerLimit")),
        mhz=ask("ClockInfo", CLOCK_SM),
        mhz_limit=ask("MaxClockInfo", CLOCK_SM),
        throttle=None if reasons is None else next((word for bit, word in THROTTLE if reasons & bit), ""),
        bandwidth=_bandwidth(ask("MaxClockInfo", CLOCK_MEMORY), ask("MemoryBusWidth")),
    )


def _own(processes: Any, pids: set[int]) -> int | None:
    """Bytes that these hold; None where the driver tells of none of them, as in a container with ids of its own."""
    held = [process.usedGpuMemory for process in processes or () if process.pid in pids]
    return sum(held) if held and None not in held else None


def _bandwidth(mhz: int | None, bits: int | None) -> float | None:
    """Bytes per second."""
    return TRANSFERS * mhz * 1e6 * bits / 8 if mhz and bits else None


def _thousandth(value: int | None) -> float | None:
    return None if value is None else value / 1000


def is_asleep(pci_devices: Path) -> bool:
    """Whether there are NVIDIA cards and all are suspended. Reading sysfs wakes none; elsewhere False."""
    states = [is_suspended(device) for device in pci_devices.glob("*") if _is_nvidia_gpu(device)]
    return bool(states) and all(states)


def _is_nvidia_gpu(device: Path) -> bool:
    return text(device / "vendor") == NVIDIA_VENDOR and (text(device / "class") or "").startswith(DISPLAY_CLASS)
