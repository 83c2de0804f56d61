"""How a tensor of the new file is made of runs of source tensors. Knows no architecture, reads nothing yet.

A run is small where the rearrangement allows it, so that the writer never holds more than it must.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from backends.convert.config import Config, Size

Values = NDArray[Any]
Floats = NDArray[np.float32]


class Source(Protocol):
    """A tensor of the checkpoint: where it is stored does not matter."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def read(self) -> Floats: ...

    def __hash__(self) -> int: ...


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """A tensor that was computed from the configuration."""

    values: Floats

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    def read(self) -> Floats:
        return self.values


@dataclass(frozen=True, slots=True)
class Run:
    """`count` elements of a source from `start` on, in its order.

    move rearranges them, whatever type they have; compute changes them and needs floats.
    """

    source: Source
    start: int
    count: int
    move: Callable[[Values], Values] | None = None
    compute: Callable[[Floats], Floats] | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """The new tensor's shape, outermost dimension first, and its elements in order."""

    shape: tuple[int, ...]
    runs: tuple[Run, ...]


Transform = Callable[[Source, Config], Layout]


def as_it_is(source: Source, _config: Config) -> Layout:
    return Layout(source.shape, (_all(source),))


def squeezed(source: Source, _config: Config) -> Layout:
    """Without its dimensions of 1."""
    return Layout(tuple(n for n in source.shape if n != 1), (_all(source),))


def computed(compute: Callable[[Floats], Floats]) -> Transform:
    return lambda source, _config: Layout(source.shape, (_all(source, compute=compute),))


def plus_one(source: Source, _config: Config) -> Layout:
    """Gemma keeps its norm weights around zero."""
    return Layout(source.shape, (_all(source, compute=_add_one),))


def in_pairs(heads: Size) -> Transform:
    """Each head's rows from two halves to pairs (llama.cpp conversion/llama.py, `permute`)."""

    def transform(source: Source, config: Config) -> Layout:
        count = math.prod(source.shape) // config.sizes[heads]
        move = partial(_pairs, rows=source.shape[0] // config.sizes[heads])
        starts = range(0, math.prod(source.shape), count)
        return Layout(source.shape, tuple(Run(source, start, count, move) for start in starts))

    return transform


def reordered(
    order: Callable[[Config], NDArray[np.int64]], axis: int = 0, compute: Callable[[Floats], Floats] | None = None
) -> Transform:
    """Only the rows (axis 0) or columns (-1) that `order` names, in its order; without dimensions of 1."""

    def transform(source: Source, config: Config) -> Layout:
        shape = [n for n in source.shape if n != 1]
        chosen = order(config)
        move = partial(_take, shape=tuple(shape), order=chosen, axis=axis)
        shape[axis] = len(chosen)
        return Layout(tuple(shape), (_all(source, move, compute),))

    return transform


def half_of_rows(index: int) -> Transform:
    """The first (0) or second (1) half along the last dimension but one, as two matrices stored in one."""

    def transform(source: Source, _config: Config) -> Layout:
        *outer, rows, columns = source.shape
        half = rows * columns // 2
        starts = range(index * half, math.prod(source.shape), 2 * half)
        return Layout((*outer, rows // 2, columns), tuple(Run(source, start, half) for start in starts))

    return transform


def every_second(index: int) -> Transform:
    """Columns 0, 2, 4, … or 1, 3, 5, …"""

    def transform(source: Source, _config: Config) -> Layout:
        *outer, columns = source.shape
        return Layout((*outer, columns // 2), (_all(source, move=partial(_columns, index=index, step=2)),))

    return transform


def transposed(source: Source, _config: Config) -> Layout:
    """The last two dimensions change places."""
    return _transposed(source, 0, 1)


def transposed_every_second(index: int) -> Transform:
    """Rows 0, 2, 4, … or 1, 3, 5, … of the transposed matrices."""
    return lambda source, _config: _transposed(source, index, 2)


def stacked(layouts: list[Layout]) -> Layout:
    """One tensor above the others: the experts of a layer."""
    return Layout((len(layouts), *layouts[0].shape), tuple(run for layout in layouts for run in layout.runs))


def _all(
    source: Source,
    move: Callable[[Values], Values] | None = None,
    compute: Callable[[Floats], Floats] | None = None,
) -> Run:
    return Run(source, 0, math.prod(source.shape), move, compute)


def turned(columns: int, index: int = 0, step: int = 1) -> Callable[[Values], Values]:
    """Rows of `columns` elements become columns; of these every step-th."""
    return partial(_turn, columns=columns, index=index, step=step)


def _transposed(source: Source, index: int, step: int) -> Layout:
    *outer, rows, columns = source.shape
    move = turned(columns, index, step)
    starts: Iterator[int] = iter(range(0, math.prod(source.shape), rows * columns))
    runs = tuple(Run(source, start, rows * columns, move) for start in starts)
    return Layout((*outer, columns // step, rows), runs)


def _pairs(values: Values, rows: int) -> Values:
    return values.reshape(2, rows // 2, -1).swapaxes(0, 1)


def _columns(values: Values, index: int, step: int) -> Values:
    return values[index::step]


def _turn(values: Values, columns: int, index: int, step: int) -> Values:
    return values.reshape(-1, columns).T[index::step]


def _take(values: Values, shape: tuple[int, ...], order: NDArray[np.int64], axis: int) -> Values:
    return np.take(values.reshape(shape), order, axis=axis)


def _add_one(values: Floats) -> Floats:
    return values + np.float32(1)


def negative_exp(values: Floats) -> Floats:
    """State space models keep the logarithm of their decay."""
    return -np.exp(values)
