"""Which device computes what, and what is copied between them: ggml's scheduler (ggml-backend.cpp,
`ggml_backend_sched_split_graph`) over one graph of all devices.

Steps have the numbers that they have there. All devices are taken to compute all operations.
"""

from collections.abc import Iterable, Iterator

from app.planner.graph.lying import FIRST_GPU, RAM
from app.planner.graph.tensors import Graph, Tensor

LEAST_OFFLOADED = 32  # rows, from which weights in RAM are copied to the first GPU (`offload_op`)
NUM_COPIES = 4  # GGML_SCHED_MAX_COPIES, of a pipeline's inputs


class Schedule:
    """nodes, leafs: of the graph and the copies, in the order in which ggml allocates them; each has a place now."""

    def __init__(self, graph: Graph):
        self.nodes: list[Tensor] = []
        self.leafs: list[Tensor] = []
        self._graph = graph
        if graph.lying.num_devices == 1:
            self._stay()
        else:
            self._assign()
            self._split()
        for leaf in graph.leafs:
            self.leafs += self._pipelined(leaf) if graph.lying.is_pipelined and leaf.is_input else (leaf,)

    def _stay(self) -> None:
        for tensor in (*self._graph.leafs, *self._graph.nodes):
            tensor.place = RAM
        self.nodes = self._graph.nodes

    def _assign(self) -> None:
        nodes = [node for node in self._graph.nodes if not node.is_view]
        for node in nodes:  # 1
            if node.place is None:
                node.place = _by_weights(node)
        for order in (nodes, nodes[::-1]):  # 2: GPUs spread, down and up
            _spread(order, over_ram=False)
        for order in (nodes, nodes[::-1]):
            _spread(order, over_ram=True)
        for node in self._graph.nodes:  # 4
            for tensor in (node, *node.sources):
                if tensor.place is None:
                    base = tensor.base.place if tensor.base else None
                    tensor.place = node.place if base is None else base

    def _split(self) -> None:
        """5: each stretch of nodes on one device begins with copies of what it needs from others."""
        copies: dict[tuple[Tensor, int | None], Tensor] = {}
        place: int | None = None
        inputs: list[Tensor] = []  # of this stretch
        begun: list[Tensor] = []
        for node in self._graph.nodes:
            if node.is_view:
                begun.append(node)
                continue
            if place is None:
                place = node.place
            if node.place != place or (inputs and any(_is_copied_weight(each, node) for each in node.sources)):
                self._close(inputs, begun, copies, place)
                inputs, begun, place = [], [], node.place
            for source in node.sources:
                if source.place != place and (source, place) not in copies:
                    copies[source, place] = _copy(source, place)
                    inputs.append(source)
            node.sources = tuple(copies.get((each, place), each) for each in node.sources)
            begun.append(node)
        self._close(inputs, begun, copies, place)

    def _close(
        self,
        inputs: Iterable[Tensor],
        nodes: Iterable[Tensor],
        copies: dict[tuple[Tensor, int | None], Tensor],
        place: int | None,
    ) -> None:
        for source in inputs:
            until_copied = Tensor((0,), (source,), is_external=True)
            self.nodes += until_copied, copies[source, place]
            if self._graph.lying.is_pipelined:
                self.leafs += self._pipelined(copies[source, place])
        self.nodes += nodes

    @staticmethod
    def _pipelined(first: Tensor) -> Iterator[Tensor]:
        """One for each batch under way, which none overwrites."""
        for tensor in (first, *(_copy(first, first.place) for _ in range(NUM_COPIES - 1))):
            tensor.is_output = True
            yield tensor


def _by_weights(node: Tensor) -> int | None:
    """Where its weights are, or where they are copied to for many rows."""
    weight = next((each for each in node.sources if each.is_weight), None)
    if weight is None or weight.place != RAM:
        return weight.place if weight else None
    return FIRST_GPU if node.num_rows >= LEAST_OFFLOADED else RAM


def _spread(nodes: Iterable[Tensor], *, over_ram: bool) -> None:
    """Those that may be anywhere are computed where the ones before them are."""
    current: int | None = None
    for node in nodes:
        if node.place is not None:
            current = node.place if over_ram or node.place != RAM else None
        elif current is not None:
            node.place = current


def _is_copied_weight(source: Tensor, node: Tensor) -> bool:
    """For which a new stretch begins, so that the memory of those before is used again."""
    return source.is_weight and source.place != node.place


def _copy(source: Tensor, place: int | None) -> Tensor:
    return Tensor(source.shape, width=source.width, place=place)
