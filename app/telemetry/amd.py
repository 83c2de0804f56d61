"""AMD cards by the Linux kernel's sysfs (amdgpu). Needs no library and keeps no handle."""

from pathlib import Path

from app.telemetry.sample import Gpu
from app.telemetry.sysfs import DRM, MICRO, MILLI, cards, first, number, scaled, sensors, text

VENDOR = "0x1002"


class AmdProvider:
    def __init__(self, drm: Path = DRM):
        self._drm = drm

    def read(self) -> tuple[Gpu, ...] | None:
        """Those with memory, the largest first: an APU has a small share of RAM beside the card that runs a model."""
        found = [_gpu(device) for device in cards(self._drm, VENDOR)]
        return tuple(sorted((gpu for gpu in found if gpu.total), key=lambda gpu: -(gpu.total or 0))) or None

    def close(self) -> None:
        pass


def _gpu(device: Path) -> Gpu:
    hwmon = sensors(device)
    clock, top = _clocks(device / "pp_dpm_sclk")
    return Gpu(
        text(device / "product_name") or "AMD GPU",
        f"amdgpu, {device.parent.name}",
        used=number(device / "mem_info_vram_used"),
        total=number(device / "mem_info_vram_total"),
        shared=number(device / "mem_info_gtt_used"),
        load=scaled(device / "gpu_busy_percent", 0.01),
        celsius=scaled(first(hwmon, "temp2_input", "temp1_input"), MILLI),  # the hottest spot, else the edge
        watts=scaled(first(hwmon, "power1_average", "power1_input"), MICRO),
        watts_limit=scaled(first(hwmon, "power1_cap"), MICRO),
        mhz=clock,
        mhz_limit=top,
    )


def _clocks(path: Path) -> tuple[float | None, float | None]:
    """Of lines such as “1: 1450Mhz *”: the one with the star, which is in use, and the highest."""
    now, known = None, []
    for line in (text(path) or "").splitlines():
        value = line.partition(":")[2].strip().lower().partition("mhz")[0]
        if value.isdigit() and len(value) < 7:
            known.append(float(value))
            now = known[-1] if "*" in line else now
    return now, max(known, default=None)
