"""Vectors without a model: how often each kind of byte occurs. Checks that texts come whole and in their order."""

from collections.abc import Sequence as Many

import numpy as np

from backends.engine.pooler import NoVectors, Piece, Vector
from backends.protocol import Embedding, FailureKind, Pooling

DIMENSIONS = 16


class FakePooler:
    def __init__(
        self,
        pooling: Pooling = Pooling.MEAN,
        max_tokens: int = 4096,
        max_rows: int = 64,
        num_slots: int = 8,
        can_split: bool = True,
    ):
        self.embedding = Embedding(pooling, DIMENSIONS, max_tokens)
        self.num_slots, self.max_rows, self.can_split = num_slots, max_rows, can_split
        self.has_memory = True  # else there is none for any text
        self.is_resting = True
        self.num_runs = 0
        self.rows: list[int] = []  # of each batch
        self.seconds_per_row, self.seconds = 0.0, 0.0  # as if
        self._held: dict[int, int] = {}  # tokens that each slot holds of a text that is not whole yet

    def run(self, pieces: Many[Piece]) -> list[Vector]:
        assert 0 < len(pieces) <= self.num_slots
        num_rows = sum(len(piece.tokens) for piece in pieces)
        assert num_rows <= self.max_rows or (len(pieces) == 1 and not self.can_split), "too many rows"
        assert len({piece.slot for piece in pieces}) == len(pieces), "two texts in one slot"
        if not self.has_memory:
            self._held.clear()
            raise NoVectors(FailureKind.OUT_OF_MEMORY, "The fake pooler was told to have no memory.")
        self.is_resting = False
        self.num_runs += 1
        self.rows.append(num_rows)
        self.seconds += num_rows * self.seconds_per_row
        return [self._vector(piece) for piece in pieces]

    def forget(self, slot: int) -> None:
        self._held.pop(slot, None)

    def rest(self) -> None:
        assert not self._held, "a text is being read"
        self.is_resting = True

    def close(self) -> None:
        self._held.clear()

    def _vector(self, piece: Piece) -> Vector:
        assert piece.tokens, "an empty piece"
        assert self._held.get(piece.slot, 0) == piece.begin, "a text that does not go on where it stopped"
        assert piece.is_last or self.can_split, "a part of a text that must be read whole"
        self._held[piece.slot] = piece.begin + len(piece.tokens)
        if self.embedding.pooling is Pooling.RANK:
            return np.array([-float(piece.length)], np.float32)
        counts = np.zeros(DIMENSIONS, np.float32)
        kept = {Pooling.CLS: piece.tokens[:1], Pooling.LAST: piece.tokens[-1:]}.get(self.embedding.pooling)
        for token in piece.tokens if kept is None else kept:
            counts[token % DIMENSIONS] += 1
        vector: Vector = counts / counts.sum()
        return vector
