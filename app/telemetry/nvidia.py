"""VRAM of NVIDIA cards by NVML (nvidia-ml-py). Knows when not to ask: an open handle keeps a GPU awake.

Per-process figures are not asked for: under Windows' WDDM the driver never has them.
"""

from contextlib import suppress
from pathlib import Path
from typing import Any

from app.telemetry.sample import GpuMemory

PCI_DEVICES = Path("/sys/bus/pci/devices")
NVIDIA_VENDOR = "0x10de"
DISPLAY_CLASS = "0x03"


class NvidiaProvider:
    """Opens NVML with the first read and holds it until close()."""

    def __init__(self, pci_devices: Path = PCI_DEVICES):
        self._pci_devices = pci_devices
        self._nvml: Any = None

    def read(self) -> GpuMemory | None:
        if self._nvml is None and not self._open():
            return None
        nvml = self._nvml
        handles = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
        memories = [nvml.nvmlDeviceGetMemoryInfo(handle) for handle in handles]
        if not memories:
            return None
        index = max(range(len(memories)), key=lambda i: int(memories[i].total))
        used, total = int(memories[index].used), int(memories[index].total)
        return GpuMemory(_name(nvml, handles[index]), used, total, f"NVML, GPU {index}, all programs")

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


def is_asleep(pci_devices: Path) -> bool:
    """Whether there are NVIDIA cards and all are suspended. Reading sysfs wakes none; elsewhere False."""
    states = [_power_state(device) for device in pci_devices.glob("*") if _is_nvidia_gpu(device)]
    return bool(states) and all(state == "suspended" for state in states)


def _is_nvidia_gpu(device: Path) -> bool:
    return _text(device / "vendor") == NVIDIA_VENDOR and _text(device / "class").startswith(DISPLAY_CLASS)


def _power_state(device: Path) -> str:
    return _text(device / "power" / "runtime_status")


def _text(path: Path) -> str:
    with suppress(OSError, UnicodeDecodeError):
        return path.read_text("ascii").strip()
    return ""


def _name(nvml: Any, handle: Any) -> str:
    name = nvml.nvmlDeviceGetName(handle)
    return name.decode() if isinstance(name, bytes) else str(name)
