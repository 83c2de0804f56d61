"""Bytes by device: what there is, what models take, what is left. Pure arithmetic."""

from collections.abc import Iterable, Mapping

from app.planner.machine import RAM

__all__ = ["RAM", "Bytes", "fits", "gigabytes", "lacking", "larger", "less", "more", "smaller", "total"]

Bytes = Mapping[str, int]  # by device; one that is not named takes none of it, or has no limit


def total(parts: Iterable[Bytes]) -> dict[str, int]:
    result: dict[str, int] = {}
    for part in parts:
        for device, size in part.items():
            result[device] = result.get(device, 0) + size
    return result


def less(whole: Bytes, *parts: Bytes) -> dict[str, int]:
    """What is left of the limits; below 0 where there is too little already."""
    taken = total(parts)
    return {device: size - taken.get(device, 0) for device, size in whole.items()}


def more(left: Bytes, parts: Iterable[Bytes]) -> dict[str, int]:
    """What is left when these parts have come back."""
    back = total(parts)
    return {device: size + back.get(device, 0) for device, size in left.items()}


def larger(one: Bytes, other: Bytes) -> dict[str, int]:
    """Of each device the larger figure."""
    return {device: max(one.get(device, 0), other.get(device, 0)) for device in one.keys() | other.keys()}


def smaller(one: Bytes, limits: Bytes) -> dict[str, int]:
    """No more than the limits, where there are some."""
    return {device: max(0, min(size, limits.get(device, size))) for device, size in one.items()}


def fits(wanted: Bytes, left: Bytes) -> bool:
    return lacking(wanted, left) is None


def lacking(wanted: Bytes, left: Bytes) -> str | None:
    """The first device on which there is too little."""
    return next((device for device, size in wanted.items() if size and size > left.get(device, size)), None)


def gigabytes(size: int) -> str:
    return f"{max(0, size) / 1e9:.1f} GB" if size >= 1e8 else f"{max(0, size) / 1e6:.0f} MB"
