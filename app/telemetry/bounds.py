"""The door for figures of drivers and systems: what cannot be is unknown."""

import math
from dataclasses import replace
from typing import Any, TypeVar

from app.telemetry.sample import Gpu, Host
from backends.bounds import as_name

T = TypeVar("T", Gpu, Host)

MAX_BYTES = 2**50  # drivers have answered with 16 EiB; nothing on a desk has a pebibyte
MAX_GPUS = 16
MAX_TEXT = 80
BYTES = ("used", "total", "own", "shared")
LIMITS = {  # the least and the most that can be true
    "load": (0.0, 1.0),
    "celsius": (-50.0, 150.0),
    "watts": (0.0, 5000.0),
    "watts_limit": (1.0, 5000.0),
    "mhz": (0.0, 20_000.0),
    "mhz_limit": (1.0, 20_000.0),
    "bandwidth": (1e6, 1e15),
}


def sane_gpus(found: object) -> tuple[Gpu, ...]:
    """What a provider has answered, whatever that is."""
    if not isinstance(found, tuple):
        return ()
    return tuple(_sane_gpu(each) for each in found[:MAX_GPUS] if isinstance(each, Gpu))


def sane_host(found: object) -> Host:
    return _sane_memory(found) if isinstance(found, Host) else Host()


def _sane_gpu(gpu: Gpu) -> Gpu:
    figures: dict[str, Any] = {name: _figure(getattr(gpu, name), *limits) for name, limits in LIMITS.items()}
    texts: dict[str, Any] = {"name": _text(gpu.name) or "GPU", "source": _text(gpu.source) or "unknown"}
    return replace(_sane_memory(gpu), **figures, **texts, throttle=_text(gpu.throttle))


def _sane_memory(memory: T) -> T:
    """What is used is part of the whole, and what is ours is part of that."""
    sizes: dict[str, Any] = {name: _size(getattr(memory, name)) for name in BYTES if hasattr(memory, name)}
    total, used, own = sizes["total"] or None, sizes["used"], sizes["own"]
    if total is not None and used is not None and used > total:
        used = None
    if isinstance(memory, Gpu) and own is not None and own > (MAX_BYTES if used is None else used):
        own = None
    return replace(memory, **sizes | {"total": total, "used": used, "own": own})


def _size(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= MAX_BYTES else None


def _figure(value: object, least: float, most: float) -> float | None:
    if type(value) not in (int, float):
        return None
    number = float(value)  # type: ignore[arg-type]
    return number if math.isfinite(number) and least <= number <= most else None


def _text(value: object) -> str | None:
    return as_name(value, MAX_TEXT) if isinstance(value, str) else None
