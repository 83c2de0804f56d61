"""The best of rows of logits, without a pass of llama.cpp over the vocabulary. numpy only.

A row is laid out as columns. The `count` columns with the greatest maxima hold at least `count` values that reach the
least of these maxima: so all of the row's `count` best reach it, and hardly any others do.
"""

import numpy as np
import numpy.typing as npt

Row = npt.NDArray[np.float32]
Rows = npt.NDArray[np.float32]  # [rows, vocabulary]
Ids = npt.NDArray[np.intp]
CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])  # llama_token_data
NUM_PER_CANDIDATE = 4  # a row shorter than so many times the cut is taken as it is
LEAST = float(np.finfo(np.float32).min)  # of all but −inf
SLACK = 2  # times the cut: room for those that reach as far as the best


def best(row: Row, count: int) -> tuple[Ids, Row]:
    """Indices and values of the `count` greatest, best first."""
    found = Candidates(row.reshape(1, -1), count)
    found.find()
    order = np.argsort(-found.values[: found.ends[0]], kind="stable")[:count]
    return found.ids[order].astype(np.intp), found.values[order]


class Candidates:
    """Of each row its `count` best, and some more. Views and buffers are made once: the logits of the next decode
    stand in the same place."""

    def __init__(self, logits: Rows, count: int):
        num_rows, num_tokens = logits.shape
        self.rows: list[Row] = list(logits)
        self._count = min(count, num_tokens)
        is_short = num_tokens <= NUM_PER_CANDIDATE * count
        buffer = np.empty(num_rows * (num_tokens if is_short else SLACK * self._count), CANDIDATE)
        self.address = int(buffer.ctypes.data)
        self.ids, self.values = buffer["id"], buffer["logit"]
        self.ends: list[int] = []  # of the rows' candidates, which follow each other in the buffer
        self.is_sorted = False  # each row's, best first
        self._logits, self._flat, self._num_tokens = logits, logits.reshape(-1), num_tokens
        self._bounds = np.arange(1, num_rows + 1) * num_tokens
        self._grid: npt.NDArray[np.float32] | None = None  # [rows, lines, columns]
        if is_short:
            return
        width = int((num_tokens * self._count) ** 0.5)  # least work
        height = num_tokens // width
        self._grid = logits[:, : width * height].reshape(num_rows, height, width)
        self._heads = np.empty((num_rows, width), np.float32)
        self._nth = width - self._count
        self._least = self._heads[:, self._nth : self._nth + 1]
        self._reaches = np.empty(logits.shape, np.bool_)
        self._flat_reaches = self._reaches.reshape(-1)

    def find(self) -> None:
        """`ids` and `values` of what the rows hold now. Never −inf, unless there is nothing else."""
        places, ends = self._all() if self._grid is None else self._reaching(self._grid)
        self.is_sorted = not places.size
        if self.is_sorted:
            places, ends = self._sorted()
        self.ends = ends
        self.ids[: places.size] = places if len(ends) == 1 else places % self._num_tokens
        self.values[: places.size] = self._flat.take(places)

    def _reaching(self, grid: npt.NDArray[np.float32]) -> tuple[Ids, list[int]]:
        """Places in all rows together, and where each row's end among them; none where the columns do not tell: many
        values are equal, or one is no number."""
        np.maximum.reduce(grid, axis=1, out=self._heads)
        self._heads.partition(self._nth, axis=1)
        np.greater_equal(self._logits, self._least, out=self._reaches)
        (places,) = self._flat_reaches.nonzero()
        ends: list[int] = places.searchsorted(self._bounds).tolist()
        begin = 0
        for end in ends:
            if not self._count <= end - begin <= SLACK * self._count:
                return places[:0], []
            begin = end
        return places, ends

    def _all(self) -> tuple[Ids, list[int]]:
        is_finite = self._flat.min() >= LEAST
        return np.arange(self._flat.size if is_finite else 0), self._bounds.tolist()

    def _sorted(self) -> tuple[Ids, list[int]]:
        """The same by sorting."""
        found, nth = list[Ids](), self._num_tokens - self._count
        for at, row in enumerate(self.rows):
            kept = np.argpartition(row, nth)[nth:]
            order = kept[np.argsort(-row[kept], kind="stable")]
            found.append(order[: max(1, np.count_nonzero(row[order] >= LEAST))] + at * self._num_tokens)
        return np.concatenate(found), np.cumsum([places.size for places in found]).tolist()
