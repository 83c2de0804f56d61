"""The figures of one moment, and what a source of GPU figures must offer. Unknown is None, never 0."""

from dataclasses import dataclass
from typing import Protocol

MAX_BYTES = 2**50  # drivers have answered with 16 EiB; nothing on a desk has a pebibyte


@dataclass(frozen=True, slots=True)
class MemorySample:
    """Bytes. `app_rss` is this program with its engines; VRAM is what all programs on that GPU use.

    source: where the VRAM figures come from, for a tooltip.
    """

    ram_used: int
    ram_total: int
    app_rss: int
    gpu_name: str | None
    vram_used: int | None
    vram_total: int | None
    source: str


@dataclass(frozen=True, slots=True)
class GpuMemory:
    name: str | None
    used: int | None
    total: int | None
    source: str


class GpuProvider(Protocol):
    """May raise anything anywhere: who asks it treats that as unknown."""

    def read(self) -> GpuMemory | None:
        """The GPU with the most memory, or None when there is none or it sleeps. Opens what it needs."""

    def close(self) -> None:
        """Let go of the device, so that it may sleep. read() opens it again."""


def is_plausible(memory: GpuMemory) -> bool:
    used, total = memory.used, memory.total
    if total is not None and not 0 < total <= MAX_BYTES:
        return False
    return used is None or 0 <= used <= (MAX_BYTES if total is None else total)
