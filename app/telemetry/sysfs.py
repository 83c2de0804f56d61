"""Reads the small files in which Linux tells of devices. Reading them wakes none; what is not there is None."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

DRM = Path("/sys/class/drm")
MILLI, MICRO = 1e-3, 1e-6


def text(path: Path) -> str | None:
    with suppress(OSError, UnicodeDecodeError):
        return path.read_text("ascii").strip()
    return None


def number(path: Path) -> int | None:
    said = text(path)
    with suppress(ValueError):
        return None if said is None else int(said)
    return None


def scaled(path: Path | None, factor: float) -> float | None:
    found = number(path) if path else None
    return None if found is None else factor * found


def cards(drm: Path, vendor: str) -> Iterator[Path]:
    """The devices of this vendor that draw or compute, and are awake."""
    for device in sorted(drm.glob("card*/device")):
        is_connector = "-" in device.parent.name
        if not is_connector and text(device / "vendor") == vendor and not is_asleep(device):
            yield device


def is_asleep(device: Path) -> bool:
    return text(device / "power" / "runtime_status") == "suspended"


def sensors(device: Path) -> Path | None:
    """The folder of its temperatures and powers."""
    return next(iter(sorted(device.glob("hwmon/hwmon*"))), None)


def first(folder: Path | None, *names: str) -> Path | None:
    """The first of these files that is there."""
    return next((folder / name for name in names if (folder / name).exists()), None) if folder else None
