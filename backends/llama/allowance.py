"""What a KV cache may take of the memories that it lies in, asked before it is made larger: of each GPU and of the RAM
its own part, for what one of them has free is no help to another.

Some systems promise more memory than they have, and end the process that believes them; others refuse a process what
the machine still has (`ulimit -v`, Windows' commit limit). So both are asked before the present cache is freed.
"""

import mmap
from collections.abc import Mapping

from backends.engine.runner import NoMemory
from backends.llama import native
from backends.llama.told_buffers import RAM
from backends.system_memory import system_memory

MARGIN = 32 << 20  # bytes that are left to others
# and that this process must be able to get: compute buffers are made anew as well, and what was freed lies in fragments
HEADROOM = 256 << 20


class Allowance:
    def __init__(self, bytes_per_cell: float, shares: Mapping[str, float]):
        """shares: of each cell's bytes, by device."""
        self._bytes_per_cell, self._shares = bytes_per_cell, shares

    @staticmethod
    def free() -> dict[str, int]:
        """Bytes of each device."""
        return {RAM: system_memory().available} | {gpu.name: gpu.free for gpu in native.gpus()}

    def check(self, num_cells: int, wanted: int) -> None:
        """Raises NoMemory. Cells of all slots together, now and after; what they hold goes through RAM meanwhile."""
        copied = round(min(num_cells, wanted) * self._bytes_per_cell)
        more = max(0, wanted - num_cells) * self._bytes_per_cell
        needed = {device: round(more * share) for device, share in self._shares.items()}
        needed[RAM] = needed.get(RAM, 0) + copied
        if wanted > num_cells:
            self._compare(wanted, needed)
        self._try(needed[RAM])

    def _compare(self, wanted: int, needed: Mapping[str, int]) -> None:
        free = self.free()
        for device, num_bytes in needed.items():
            left = free.get(device, max(free.values()))  # a buffer may be named otherwise than its device
            if num_bytes and num_bytes + MARGIN > left:
                raise NoMemory(
                    f"{wanted:,} cells of KV cache need {_mib(num_bytes)} more of {device}, and {_mib(left)} are free."
                )

    @staticmethod
    def _try(num_bytes: int) -> None:
        """Whether this process would be given so much RAM. It goes back at once, and untouched it costs none."""
        try:
            mmap.mmap(-1, num_bytes + HEADROOM).close()
        except (OSError, ValueError) as error:
            raise NoMemory(f"This process is given no {_mib(num_bytes)} more: {error}") from error


def _mib(size: int) -> str:
    return f"{size / (1 << 20):,.0f} MiB"
