"""What a vocabulary's tokens are made of, as far as an answer in JSON asks for it."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Truths = npt.NDArray[np.bool_]  # one for each token
NUMERIC = b"0123456789.eE"
CONTROL = b"\xff"  # with which the piece of a token begins that is no text


class Pieces:
    """has_line: tokens with a line break. goes_on: tokens with which a number may go on. of_byte: the token that is
    just this byte; not all vocabularies have one for each."""

    def __init__(self, pieces: Sequence[bytes]):
        self._pieces = pieces
        self.has_line: Truths = np.fromiter((b"\n" in piece for piece in pieces), np.bool_, len(pieces))
        self.goes_on: Truths = np.fromiter((piece[:1] in NUMERIC for piece in pieces), np.bool_, len(pieces))
        self.goes_on &= np.fromiter(map(bool, pieces), np.bool_, len(pieces))
        singles = [(piece[0], token) for token, piece in enumerate(pieces) if len(piece) == 1]
        self.of_byte = dict(reversed(singles))  # of several the first
        self.of_byte.pop(CONTROL[0], None)

    def text(self, token: int) -> bytes:
        """Nothing for a control token."""
        piece = self._pieces[token]
        return b"" if piece.startswith(CONTROL) else piece
