"""How JSON is written, where its schema leaves that open: on one line if it was begun on one, and with numbers that
have an end. Knows bytes, and asks the parser whether others than digits may follow."""

import re

from llguidance import LLMatcher

from backends.llama.grammar_pieces import Pieces, Truths

MAX_DIGITS = 20  # of a number: what 64 bits hold, and a sign
MAX_NUMBER = 32  # characters
NUMBER = re.compile(rb"[0-9][0-9.]*(?:[eE][+-]?[0-9]*)?\Z")
TOO_LONG = re.compile(rb"[0-9]{%d}|[eE][+-]?[0-9]{3}|.{%d}" % (MAX_DIGITS + 1, MAX_NUMBER), re.DOTALL)
TEXT = b"z"  # follows digits in a string alone
ENDS = b',}]"\n '
NUMBERS = b"0123456789.eE+-"
OPENERS = b"{["


class Manner:
    """One answer's. is_json: all of it is JSON, and no line break stands within a string."""

    def __init__(self, pieces: Pieces, is_json: bool):
        self._pieces = pieces
        self._is_json = is_json
        self._is_begun = self._has_lines = False
        self._number = b""
        tokens = pieces.of_byte
        self._text = [tokens[byte] for byte in TEXT if byte in tokens]
        self._ends = [tokens[byte] for byte in ENDS if byte in tokens]

    def allows(self, place: LLMatcher, token: int) -> bool:
        """place: before the token, which the grammar allows there."""
        text = self._pieces.text(token)
        if self._is_on_a_line and b"\n" in text:
            return False
        if not self._number or not TOO_LONG.search(self._longer(text)):
            return True
        return not (self._may_end(place) or (len(text) > 1 and self._is_number(place)))

    def excluded(self, place: LLMatcher) -> Truths | None:
        """By token, where any is excluded for sure."""
        lines = self._pieces.has_line if self._is_on_a_line else None
        if not self._number or not TOO_LONG.search(self._number + b"0") or not self._may_end(place):
            return lines
        return self._pieces.goes_on if lines is None else self._pieces.goes_on | lines

    def note(self, token: int) -> None:
        """It was taken."""
        text = self._pieces.text(token)
        if self._is_json and not self._is_begun:
            self._is_begun = bool(text.lstrip(OPENERS))
            self._has_lines = b"\n" in text
        self._number = self._longer(text)

    @property
    def _is_on_a_line(self) -> bool:
        return self._is_json and self._is_begun and not self._has_lines

    def _longer(self, text: bytes) -> bytes:
        """The number with which the answer ends behind this text."""
        found = NUMBER.search(self._number + text if text[:1] in NUMBERS else text)
        return found[0] if found else b""

    def _may_end(self, place: LLMatcher) -> bool:
        """Whether a number stands here, and may end."""
        if not self._is_number(place):
            return False
        return place.is_accepting() or any(place.validate_tokens([token]) for token in self._ends)

    def _is_number(self, place: LLMatcher) -> bool:
        """Digits in a string are none, unless it can hold nothing else."""
        return not any(place.validate_tokens([token]) for token in self._text)
