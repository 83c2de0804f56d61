"""A compute graph as ggml sees it: tensors with sources, views, and the order in which they are computed.

Names and rules are those of ggml.c (`ggml_visit_parents_graph`); what they are computed from is in the modules beside.
"""

from math import prod

F32, F16, I32, I64 = 4, 2, 4, 8


class Tensor:
    """shape: innermost first. base: what a view lies in. weights and caches are `is_external`: allocated elsewhere."""

    __slots__ = (
        "base",
        "can_inplace",
        "is_contiguous",
        "is_external",
        "is_input",
        "is_output",
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
    ):
        self.shape, self.width, self.sources = shape, width, sources
        self.base: Tensor | None = (base.base or base) if base else None  # a view of a view lies in what that lies in
        self.can_inplace, self.is_input, self.is_contiguous = can_inplace, is_input, is_contiguous
        self.is_output = False  # kept to the end, for who asks for it
        self.is_external: bool = is_external or (self.base is not None and self.base.is_external)

    @property
    def num_bytes(self) -> int:
        return prod(self.shape) * self.width

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

    def __init__(self) -> None:
        self.nodes: list[Tensor] = []
        self.leafs: list[Tensor] = []
        self._seen: set[Tensor] = set()

    def expand(self, *tensors: Tensor) -> None:
        for tensor in tensors:
            self._visit(tensor)

    def _visit(self, tensor: Tensor) -> None:
        """Sources first, from left to right; with a stack of its own, for a graph may be deep."""
        stack = [(tensor, iter(tensor.sources))]
        if tensor in self._seen:
            return
        self._seen.add(tensor)
        while stack:
            current, sources = stack[-1]
            source = next((each for each in sources if each not in self._seen), None)
            if source is not None:
                self._seen.add(source)
                stack.append((source, iter(source.sources)))
                continue
            stack.pop()
            (self.nodes if current.sources else self.leafs).append(current)

    @staticmethod
    def input(*shape: int, width: int = F32) -> Tensor:
        return Tensor(shape, width=width, is_input=True)

    @staticmethod
    def external(*shape: int) -> Tensor:
        return Tensor(shape, is_external=True)

    @staticmethod
    def op(shape: tuple[int, ...], *sources: Tensor, width: int = F32) -> Tensor:
        """One that needs memory of its own."""
        return Tensor(shape, sources, width=width)

    @staticmethod
    def change(tensor: Tensor, *others: Tensor) -> Tensor:
        """An elementwise one, which may overwrite what it is computed from."""
        return Tensor(tensor.shape, (tensor, *others), width=tensor.width, can_inplace=True)

    @staticmethod
    def view(tensor: Tensor, *shape: int, is_contiguous: bool = True) -> Tensor:
        """Of other dimensions, or a part."""
        return Tensor(
            shape or tensor.shape, (tensor,), width=tensor.width, base=tensor, is_contiguous=is_contiguous
        )  # fmt: skip

    @staticmethod
    def store(cache: Tensor, *sources: Tensor) -> Tensor:
        """Written into what lies elsewhere."""
        return Tensor(cache.shape, (cache, *sources), base=cache)
