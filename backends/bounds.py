"""Bounds for what files, templates, networks and libraries say: numbers that exist, texts that can be shown and sent.

Applied once, where a value enters. Knows no format.
"""

import re
from typing import Any

MAX_COUNT = 2**63 - 1  # what SQLite, C and JSON's readers hold
MAX_NAME = 200  # characters of a name, an id, a type
MAX_REASON = 300  # of the part of a message that says why
MAX_SENTENCE = 600  # characters of a message: two sentences and a path
# what moves a cursor, colours or reorders text, or is no character at all; joiners stay, as Persian and emoji need them
UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def whole(value: Any, most: int = MAX_COUNT) -> int | None:
    """A positive whole number of at most `most`; None for anything else."""
    return value if type(value) is int and 0 < value <= most else None


def clamped(value: int) -> int:
    """What a sum of sizes, or a time in nanoseconds, may be at most, and at least."""
    return max(-MAX_COUNT, min(value, MAX_COUNT))


def printable(text: str) -> str:
    """In one line; control characters, escape sequences and bytes that are no UTF-8 as Python writes them."""
    return UNPRINTABLE.sub(_escaped, text)


def as_name(text: str, length: int = MAX_NAME) -> str:
    """A printable name of at most `length` characters: begin and end of a longer one."""
    return shortened(printable(shortened(text, 2 * length)), length)


def sentence(text: str, length: int = MAX_SENTENCE) -> str:
    """A message in one printable line of at most `length` characters: its begin, and its end, which says what to do."""
    return shortened(printable(" ".join(shortened(text, 2 * length).split())), length)


def as_text(text: str, length: int) -> str:
    """Lines of text: printable, but for their ends."""
    return "\n".join(map(printable, shortened(text, length).splitlines()))


def shortened(text: str, length: int) -> str:
    if len(text) <= length:
        return text
    end = length // 3
    return f"{text[: length - end - 1]}…{text[-end:]}"


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    # a byte of a file name that was no UTF-8, as the system hands it over
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else ascii(match[0])[1:-1]
