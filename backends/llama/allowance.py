"""What a KV cache may take of the memory that it lies in, asked before it is made larger.

Some systems promise more memory than they have, and end the process that believes them.
"""

import psutil

from backends.engine.runner import NoMemory
from backends.llama import native

MARGIN = 32 << 20  # bytes that are left to others


class Allowance:
    def __init__(self, bytes_per_cell: float, on_gpu: bool):
        self._bytes_per_cell, self._on_gpu = bytes_per_cell, on_gpu

    @property
    def free(self) -> int:
        """Bytes on the device of the cache."""
        if self._on_gpu:
            return sum(device.free for device in native.devices() if device.is_gpu)
        return psutil.virtual_memory().available

    def check(self, num_cells: int, wanted: int) -> None:
        """Raises NoMemory. Cells of all slots together, now and after; what they hold goes through RAM meanwhile."""
        copied = 0 if self._on_gpu else min(num_cells, wanted)
        needed = round((max(0, wanted - num_cells) + copied) * self._bytes_per_cell)
        free = self.free
        if wanted > num_cells and needed + MARGIN > free:
            raise NoMemory(f"{wanted:,} cells of KV cache need {_mib(needed)} more, and {_mib(free)} are free.")


def _mib(size: int) -> str:
    return f"{size / (1 << 20):,.0f} MiB"
