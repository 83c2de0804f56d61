"""A compute graph as ggml sees it: tensors with sources, views, and the order in which they are computed.

Names and rules are those of ggml.c (`ggml_visit_parents_graph`); what they are computed from is in the modules beside.
"""

from math import prod

from app.planner.graph.lying import RAM, Lying
from app.planner.model import Layer

F32, F16, I32, I64 = 4, 2, 4, 8


class Tensor:
    """shape: innermost first. base: what a view lies in. weights and caches are `is_external`: allocated elsewhere.

    place: the device that computes or holds it; None: that of its neighbours, which the scheduler finds.
    """

    __slots__ = (
        "base",
        "can_inplace",
        "is_contiguous",
        "is_external",
        "is_input",
        "is_output",
        "is_view",
        "is_weight",
        "num_bytes",
        "place",
        "shape",
        "sources",
        "width",
    )

    def __init__(
        self,
        shape: tuple[int, ...],
        sources: "tuple[Tensor, ...]" = (),
        *,
        width: int = F32,
        base: "Tensor | None" = None,
        can_inplace: bool = False,
        is_input: bool = False,
        is_external: bool = False,
        is_contiguous: bool = True,
        is_view: bool = False,
        is_weight: bool = False,
        place: int | None = None,
    ):
        self.shape, self.width, self.sources = shape, width, sources
        self.base: Tensor | None = (base.base or base) if base else None  # a view of a view lies in what that lies in
        self.can_inplace, self.is_input, self.is_contiguous = can_inplace, is_input, is_contiguous
        self.is_output = False  # kept to the end, for who asks for it
        self.is_external: bool = is_external or (self.base is not None and self.base.is_external)
        self.is_view, self.is_weight, self.place = is_view, is_weight, place
        self.num_bytes = prod(shape) * width

    @property
    def num_rows(self) -> int:
        return prod(self.shape[1:])

    def has_layout_of(self, other: "Tensor") -> bool:
        """`ggml_are_same_layout`: one shape, type and strides."""
        return self.is_contiguous and other.is_contiguous and self.width == other.width and _core(self) == _core(other)


def _core(tensor: Tensor) -> tuple[int, ...]:
    """Without the ones at the end, which ggml has up to four dimensions of."""
    shape = tensor.shape
    while shape and shape[-1] == 1:
        shape = shape[:-1]
    return shape


class Graph:
    """Nodes in the order of their computing. Its methods make tensors; `expand` puts them in with what they need."""

    def __init__(self, lying: Lying) -> None:
        self.lying = lying
        self.nodes: list[Tensor] = []
        self.leafs: list[Tensor] = []
        self._seen: set[Tensor] = set()

    def expand(self, *tensors: Tensor) -> None:
        for tensor in tensors:
            self._visit(tensor)

    def _visit(self, tensor: Tensor) -> None:
        """Sources first, from left to right; with a stack of its own, for a graph may be deep."""
        seen = self._seen
        if tensor in seen:
            return
        seen.add(tensor)
        stack = [(tensor, iter(tensor.sources))]
        while stack:
            current, sources = stack[-1]
            for source in sources:
                if source not in seen:
                    seen.add(source)
                    stack.append((source, iter(source.sources)))
                    break
            else:
                stack.pop()
                (self.nodes if current.sources else self.leafs).append(current)

    @staticmethod
    def input(*shape: int, width: int = F32) -> Tensor:
        return Tensor(shape, width=width, is_input=True, place=RAM)

    @staticmethod
    def external(num_bytes: int, place: int | None = None, *, is_weight: bool = False) -> Tensor:
        return Tensor((num_bytes,), width=1, is_external=True, is_weight=is_weight, place=place)

    def weight(self, layer: Layer, name: str) -> Tensor:
        """A layer's; of no bytes where it has none of that name."""
        tensor = layer.tensors.get(name)
        return self.external(tensor.num_bytes if tensor else 0, self.lying.of(layer, name), is_weight=True)

    def kept(self, layer: Layer, num_bytes: int = 0) -> Tensor:
        """Keys, values or states of a layer."""
        return self.external(num_bytes, self.lying.devices[layer.number])

    @staticmethod
    def op(shape: tuple[int, ...], *sources: Tensor, width: int = F32) -> Tensor:
        """One that needs memory of its own."""
        return Tensor(shape, sources, width=width)

    @staticmethod
    def change(tensor: Tensor, *others: Tensor) -> Tensor:
        """An elementwise one, which may overwrite what it is computed from."""
        return Tensor(tensor.shape, (tensor, *others), width=tensor.width, can_inplace=True)

    def norm(self, tensor: Tensor, layer: Layer, name: str) -> Tensor:
        """Normalised, and multiplied by that weight of the layer."""
        normed = self.change(tensor)
        if self.lying.is_offloaded:
            normed.place = self.lying.devices[layer.number]  # else it might go to the layer before (`graph_get_cb`)
        return self.change(normed, self.weight(layer, name))

    @staticmethod
    def view(tensor: Tensor, *shape: int, is_contiguous: bool = True) -> Tensor:
        """Of other dimensions, or a part."""
        return Tensor(
            shape or tensor.shape,
            (tensor,),
            width=tensor.width,
            base=tensor,
            is_contiguous=is_contiguous,
            is_view=True,
        )

    @staticmethod
    def store(cache: Tensor, *sources: Tensor) -> Tensor:
        """Written into what lies elsewhere."""
        return Tensor(cache.shape, (cache, *sources), base=cache, place=cache.place)
