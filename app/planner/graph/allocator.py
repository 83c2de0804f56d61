"""ggml's graph allocator (ggml-alloc.c, `ggml_gallocr_alloc_graph_impl`): how large each device's buffer must be.

The same best fit, reuse in place and freeing by count of children, so that the size is the one that ggml will ask for.
"""

from bisect import bisect_left
from collections.abc import Sequence

from app.planner.graph.scheduler import Schedule
from app.planner.graph.tensors import Tensor

ENDLESS = 1 << 62


class _Blocks:
    """Free blocks sorted by offset, the last without an end."""

    def __init__(self, alignment: int):
        self._alignment = alignment
        self._free = [(0, ENDLESS)]
        self.most = 0

    def pad(self, size: int) -> int:
        return -(-size // self._alignment) * self._alignment

    def take(self, size: int) -> int:
        size = self.pad(size)
        best = len(self._free) - 1
        least = ENDLESS
        for at, (_, free) in enumerate(self._free[:-1]):
            if size <= free <= least:
                best, least = at, free
        offset, free = self._free[best]
        if free == size:
            del self._free[best]
        else:
            self._free[best] = (offset + size, free - size)
        self.most = max(self.most, offset + size)
        return offset

    def give(self, offset: int, size: int) -> None:
        size = self.pad(size)
        at = bisect_left(self._free, (offset, 0))
        if at < len(self._free) and offset + size == self._free[at][0]:
            size += self._free.pop(at)[1]
        if at and sum(self._free[at - 1]) == offset:
            offset, before = self._free[at - 1][0], self._free[at - 1][1]
            self._free[at - 1] = (offset, before + size)
        else:
            self._free.insert(at, (offset, size))


class _Allocation:
    def __init__(self, schedule: Schedule, alignments: Sequence[int]):
        self._devices = [_Blocks(alignment) for alignment in alignments]
        self._offsets: dict[Tensor, int] = {}  # of those that hold memory now
        self._places: dict[Tensor, int] = {}  # of all that ever did
        self._num_children: dict[Tensor, int] = {}
        self._num_views: dict[Tensor, int] = {}
        for leaf in schedule.leafs:
            self._allocate(leaf)
        for node in schedule.nodes:
            if node.base is not None:
                self._num_views[node.base] = self._num_views.get(node.base, 0) + 1
            for source in node.sources:
                if not source.is_external:
                    self._num_children[source] = self._num_children.get(source, 0) + 1
        for node in schedule.nodes:
            self._allocate(node)
            for source in node.sources:
                if not source.is_external:
                    self._leave(source)

    @property
    def num_bytes(self) -> tuple[int, ...]:
        return tuple(blocks.most for blocks in self._devices)

    def _blocks(self, tensor: Tensor) -> _Blocks:
        assert tensor.place is not None
        return self._devices[tensor.place]

    def _allocate(self, node: Tensor) -> None:
        if node.is_external or node.base is not None or node in self._places:
            return
        if node.can_inplace and self._reuse(node):
            return
        self._offsets[node] = self._places[node] = self._blocks(node).take(node.num_bytes)

    def _reuse(self, node: Tensor) -> bool:
        for parent in node.sources:
            if parent not in self._offsets or parent.is_output or not node.has_layout_of(parent):  # a view owns nothing
                continue
            if self._num_children[parent] != 1 or self._num_views.get(parent, 0):
                continue
            place = self._offsets.pop(parent)
            self._offsets[node] = self._places[node] = place
            blocks = self._blocks(parent)
            held, needed = blocks.pad(parent.num_bytes), blocks.pad(node.num_bytes)
            if held > needed:
                blocks.give(place + needed, held - needed)
            return True
        return False

    def _leave(self, source: Tensor) -> None:
        self._num_children[source] -= 1
        if self._num_children[source] or self._num_views.get(source, 0):
            return
        owner = source
        if source.base is not None:
            owner = source.base
            self._num_views[owner] -= 1
            if self._num_views[owner] or self._num_children.get(owner, 0):
                return
        if owner in self._offsets and not owner.is_output:
            self._blocks(owner).give(self._offsets.pop(owner), owner.num_bytes)


def buffer_bytes(schedule: Schedule, alignments: Sequence[int]) -> tuple[int, ...]:
    """Of each device's buffer for all that it computes. alignments: of the devices."""
    return _Allocation(schedule, alignments).num_bytes
