"""What a KV cache may take of the memory that it lies in, asked before it is made larger.

Some systems promise more memory than they have, and end the process that believes them; others refuse a process what
the machine still has (`ulimit -v`, Windows' commit limit). So both are asked before the present cache is freed.
"""

import mmap

from backends.engine.runner import NoMemory
from backends.llama import native
from backends.system_memory import system_memory

MARGIN = 32 << 20  # bytes that are left to others
# and that this process must be able to get: compute buffers are made anew as well, and what was freed lies in fragments
HEADROOM = 256 << 20


class Allowance:
    def __init__(self, bytes_per_cell: float, on_gpu: bool):
        self._bytes_per_cell, self._on_gpu = bytes_per_cell, on_gpu

    @property
    def free(self) -> int:
        """Bytes on the device of the cache."""
        if self._on_gpu:
            return sum(gpu.free for gpu in native.gpus())
        return system_memory().available

    def check(self, num_cells: int, wanted: int) -> None:
        """Raises NoMemory. Cells of all slots together, now and after; what they hold goes through RAM meanwhile."""
        copied = min(num_cells, wanted)
        needed = round((max(0, wanted - num_cells) + (0 if self._on_gpu else copied)) * self._bytes_per_cell)
        free = self.free
        if wanted > num_cells and needed + MARGIN > free:
            raise NoMemory(f"{wanted:,} cells of KV cache need {_mib(needed)} more, and {_mib(free)} are free.")
        self._try(round(copied * self._bytes_per_cell) if self._on_gpu else needed)

    @staticmethod
    def _try(num_bytes: int) -> None:
        """Whether this process would be given so much RAM. It goes back at once, and untouched it costs none."""
        try:
            mmap.mmap(-1, num_bytes + HEADROOM).close()
        except (OSError, ValueError) as error:
            raise NoMemory(f"This process is given no {_mib(num_bytes)} more: {error}") from error


def _mib(size: int) -> str:
    return f"{size / (1 << 20):,.0f} MiB"
