"""VRAM of AMD cards from the Linux kernel's sysfs. Needs no library and keeps no handle."""

from contextlib import suppress
from pathlib import Path

from app.telemetry.sample import GpuMemory

DRM = Path("/sys/class/drm")


class AmdProvider:
    def __init__(self, drm: Path = DRM):
        self._drm = drm

    def read(self) -> GpuMemory | None:
        devices = [path.parent for path in self._drm.glob("card*/device/mem_info_vram_total")]
        awake = [device for device in devices if not _is_asleep(device)]
        if not awake:
            return None
        # an APU shows a small share of RAM beside the card that runs the model
        device = max(awake, key=lambda device: _number(device / "mem_info_vram_total") or 0)
        return GpuMemory(
            _name(device),
            _number(device / "mem_info_vram_used"),
            _number(device / "mem_info_vram_total"),
            f"amdgpu, {device.parent.name}, all programs",
        )

    def close(self) -> None:
        pass


def _is_asleep(device: Path) -> bool:
    with suppress(OSError):
        return (device / "power" / "runtime_status").read_text().strip() == "suspended"
    return False


def _number(path: Path) -> int | None:
    with suppress(OSError, ValueError):
        return int(path.read_text())
    return None


def _name(device: Path) -> str:
    with suppress(OSError):
        if name := (device / "product_name").read_text().strip():
            return name
    return "AMD GPU"
