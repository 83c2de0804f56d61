"""Rows shared out among threads: numpy lets go of the interpreter, so they run side by side."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from types import TracebackType
from typing import Generic, Self, TypeVar

Tool = TypeVar("Tool")
T = TypeVar("T")

ROWS_WORTH = 8  # fewer than so many are not worth another thread


class Crew(Generic[Tool]):
    """Each worker has a tool of its own, made by `make(number)`."""

    def __init__(self, size: int, make: Callable[[int], Tool]):
        self._tools = [make(number) for number in range(size)]
        self._pool = ThreadPoolExecutor(size, thread_name_prefix="rows")

    def share(self, num_rows: int, work: Callable[[Tool, slice], T]) -> list[T]:
        """`work` of every worker on its part of the rows, in the rows' order."""
        count = max(1, min(len(self._tools), num_rows // ROWS_WORTH))
        bounds = [num_rows * i // count for i in range(count + 1)]
        parts = [slice(*pair) for pair in pairwise(bounds)]
        return list(self._pool.map(work, self._tools, parts))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._pool.shutdown()
