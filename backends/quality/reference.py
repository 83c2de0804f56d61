"""What a reference model predicted at some positions: all of it, or what `sampling` keeps. Knows no file, no model."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from backends.quality.sampling import Kept, Lots, Sampling
from backends.quality.softmax import Floats, Ids, Softmax

LEAST_LOG_P = -1e4  # for tokens that a model rules out altogether


@dataclass(frozen=True, slots=True)
class Rows:
    """Of n positions. tops: the likeliest token; targets: log probability of the token that really came.

    counts: how many tokens of each position `ids` and `log_p` hold. A whole vocabulary needs no ids (length 0).
    """

    tops: Ids
    targets: Floats
    counts: Ids
    ids: Ids
    log_p: Floats

    def __len__(self) -> int:
        return len(self.tops)

    @property
    def is_full(self) -> bool:
        return not len(self.ids)

    def __getitem__(self, rows: slice) -> "Rows":
        begin, end, _ = rows.indices(len(self))
        first, last = (int(self.counts[:n].sum(dtype=np.int64)) for n in (begin, end))
        few = (self.tops[rows], self.targets[rows], self.counts[rows])
        return Rows(*few, self.ids if self.is_full else self.ids[first:last], self.log_p[first:last])

    def kept(self) -> Iterator[Kept]:
        """Position by position."""
        end = np.cumsum(self.counts, dtype=np.int64)
        for last, count in zip(end.tolist(), self.counts.tolist(), strict=True):
            first = last - count
            yield Kept(self.ids[first:last], self.log_p[first:last])


class Recorder:
    """Turns a reference's logits into Rows. One per thread: it owns buffers and random numbers."""

    def __init__(self, sampling: Sampling, seed: int = 0):
        self._sampling = sampling
        self._softmax = Softmax(sampling.num_tokens)
        self._lots = None if sampling.is_full else Lots(sampling, seed)

    def record(self, logits: Floats, targets: npt.NDArray[np.int32]) -> Rows:
        """logits: [n, vocabulary]; targets: [n] tokens that really came."""
        kept = [self._keep(row) for row in logits]
        normalizers = np.array([normalizer for _, normalizer in kept])
        entries = [entry for entry, _ in kept]
        return Rows(
            logits.argmax(axis=1).astype(np.uint32),
            (logits[np.arange(len(logits)), targets] - normalizers).astype(np.float32),
            np.array([len(entry.log_p) for entry in entries], np.uint32),
            np.concatenate([entry.ids for entry in entries]),
            np.concatenate([entry.log_p for entry in entries]),
        )

    def _keep(self, row: Floats) -> tuple[Kept, float]:
        softmax = self._softmax
        softmax.of(row)
        if self._lots is None:
            log_p = np.maximum(row - np.float32(softmax.normalizer), np.float32(LEAST_LOG_P))
            return Kept(np.empty(0, np.uint32), log_p), softmax.normalizer
        ids = self._lots.draw(softmax)
        log_p = np.maximum(row[ids] - softmax.normalizer, LEAST_LOG_P).astype(np.float32)
        return Kept(ids, log_p), softmax.normalizer


class RowStream:
    """Rows that come in blocks of any size, taken in pieces of any other."""

    def __init__(self, blocks: Iterator[Rows]):
        self._blocks = blocks
        self._waiting: deque[Rows] = deque()

    def take(self, count: int) -> Rows:
        """The next `count` rows. They are there: whoever made the stream has counted them."""
        while sum(map(len, self._waiting)) < count:
            self._waiting.append(next(self._blocks))
        parts = []
        while count:
            block = self._waiting.popleft()
            parts.append(block[:count])
            if len(block) > count:
                self._waiting.appendleft(block[count:])
            count -= len(parts[-1])
        return parts[0] if len(parts) == 1 else _join(parts)


def _join(parts: list[Rows]) -> Rows:
    return Rows(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Rows)))
