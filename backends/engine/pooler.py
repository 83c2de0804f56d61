"""What the embedder asks of a backend: one vector of each text in a batch."""

from collections.abc import Sequence as Many
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from backends.protocol import Embedding, FailureKind

Vector = npt.NDArray[np.float32]


class NoVectors(Exception):
    """These texts cannot be read now; str() of it is a sentence for a person."""

    def __init__(self, kind: FailureKind, message: str):
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Piece:
    """Tokens of one text from `begin` on. slot: its place until it is forgotten. length: of the whole text."""

    slot: int
    tokens: list[int]
    begin: int
    length: int

    @property
    def is_last(self) -> bool:
        return self.begin + len(self.tokens) == self.length


class Pooler(Protocol):
    """Texts are read beside answers, and share nothing with them but the weights. Memory is taken at the first `run`
    and given back by `rest`."""

    embedding: Embedding
    num_slots: int  # texts in one batch
    max_rows: int  # tokens of a batch; a text that cannot be split may have more, alone in its batch
    can_split: bool  # whether a text may come in pieces: where no token sees those that follow it

    def run(self, pieces: Many[Piece]) -> list[Vector]:
        """The vector of each, of its own tokens alone: the mean of these where the model takes the mean, not
        normalised. Raises NoVectors, and then every text is forgotten."""

    def forget(self, slot: int) -> None:
        """What follows in this slot is another text."""

    def rest(self) -> None:
        """Nothing is read for a while: give the memory back."""

    def close(self) -> None: ...
