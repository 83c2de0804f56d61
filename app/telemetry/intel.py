"""Intel's GPUs by the Linux kernel's sysfs, of the drivers xe and i915. What an integrated one uses is RAM."""

import time
from collections.abc import Callable
from pathlib import Path

from app.telemetry.sample import Gpu
from app.telemetry.sysfs import DRM, MICRO, MILLI, cards, first, number, scaled, sensors

VENDOR = "0x8086"
PREFIX = "reason_"


class IntelProvider:
    def __init__(self, drm: Path = DRM, clock: Callable[[], float] = time.monotonic):
        self._drm = drm
        self._clock = clock
        self._energies: dict[Path, tuple[float, int]] = {}  # when it was read, and micro-joules

    def read(self) -> tuple[Gpu, ...] | None:
        found = tuple(map(self._gpu, cards(self._drm, VENDOR)))
        return tuple(gpu for gpu in found if gpu.total or gpu.mhz is not None) or None

    def close(self) -> None:
        self._energies.clear()

    def _gpu(self, device: Path) -> Gpu:
        card, hwmon = device.parent, sensors(device)
        xe, i915 = device / "tile0" / "gt0" / "freq0", card / "gt" / "gt0"
        total, free = number(card / "lmem_total_bytes"), number(card / "lmem_avail_bytes")
        return Gpu(
            "Intel GPU",
            f"{'xe' if xe.exists() else 'i915'}, {card.name}",
            used=None if total is None or free is None else total - free,
            total=total,
            celsius=scaled(first(hwmon, "temp2_input", "temp1_input"), MILLI),
            watts=self._watts(first(hwmon, "energy1_input")),
            watts_limit=scaled(first(hwmon, "power1_max"), MICRO),
            mhz=scaled(first(xe, "act_freq") or first(i915, "rps_act_freq_mhz"), 1.0),
            mhz_limit=scaled(first(xe, "max_freq") or first(i915, "rps_max_freq_mhz"), 1.0),
            throttle=_throttle(xe / "throttle") if xe.exists() else _throttle(i915, "throttle_"),
        )

    def _watts(self, path: Path | None) -> float | None:
        """By the energy since it was read before."""
        energy, now = (number(path) if path else None), self._clock()
        if path is None or energy is None:
            return None
        before, self._energies[path] = self._energies.get(path), (now, energy)
        if before is None or now <= before[0]:
            return None
        return MICRO * (energy - before[1]) / (now - before[0])


def _throttle(folder: Path, prefix: str = "") -> str | None:
    """The reasons whose files say 1; None where the driver tells none."""
    status = number(folder / f"{prefix}reason_status") if prefix else number(folder / "status")
    if status is None:
        return None
    names = sorted(path.name for path in folder.glob(f"{prefix}reason_*") if not path.name.endswith("_status"))
    return ", ".join(name.removeprefix(prefix + PREFIX) for name in names if number(folder / name) == 1)
