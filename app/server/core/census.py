"""Counts the values of a JSON body while it comes. Knows bytes alone: nothing is made of what is too much.

Python reads JSON, and pydantic walks through it, without letting anybody else go on: a body of eight megabytes could be
four million values and hold up every stream for seconds. A text is one value, however long.
"""

import json

from app.server.core.limits import MAX_PARTS, MAX_VALUES

QUOTE, ESCAPED_QUOTE, BACKSLASHES = b'"', b'\\"', b"\\\\"
UTF_8 = ("utf-8", "utf-8-sig")
NUM_SIGNS = 4  # bytes by which json.loads tells encodings apart


class TooMany(Exception):
    """The message says what there are too many of, as the end of a sentence."""


class Census:
    """Of one body. Never counts fewer than there are before the place where the body ceases to be JSON."""

    def __init__(self) -> None:
        self.num_parts = 0  # texts, names, lists and objects
        self.num_values = 0  # of any kind, numbers too
        self._beginning = b""
        self._is_utf_8: bool | None = None  # None: too little has come to know it
        self._is_in_text = False
        self._rest = b""  # a backslash, of which it is not known what it escapes

    def count(self, piece: bytes) -> None:
        """More of the body has come. Raises TooMany."""
        if self._is_utf_8 is None:
            self._beginning += piece
            if len(self._beginning) < NUM_SIGNS:  # too short for anything that counts, if it ends here
                return
            piece, self._beginning = self._beginning, b""
            self._is_utf_8 = json.detect_encoding(piece[:NUM_SIGNS]) in UTF_8
        outside = self._outside(piece) if self._is_utf_8 else self._all(piece)
        num_openings = outside.count(b"[") + outside.count(b"{")
        self.num_parts += num_openings
        self.num_values += num_openings + outside.count(b",")
        if self.num_parts > MAX_PARTS:
            raise TooMany(f"{MAX_PARTS:,} texts, lists and objects")
        if self.num_values > MAX_VALUES:
            raise TooMany(f"{MAX_VALUES:,} values")

    def _all(self, piece: bytes) -> bytes:
        """Texts of other encodings are not told apart: their commas count, and their quotes, too."""
        self.num_parts += piece.count(QUOTE)
        return piece

    def _outside(self, piece: bytes) -> bytes:
        """What of it stands in no text."""
        piece = (self._rest + piece).replace(BACKSLASHES, b"")
        self._rest = piece[-1:] if piece.endswith(b"\\") else b""
        piece = piece.removesuffix(self._rest).replace(ESCAPED_QUOTE, b"")
        runs = piece.split(QUOTE)
        num_quotes = len(runs) - 1
        outside = b"".join(runs[self._is_in_text :: 2])
        self.num_parts += (num_quotes + (not self._is_in_text)) // 2  # where they begin
        self._is_in_text ^= num_quotes % 2 == 1
        return outside
