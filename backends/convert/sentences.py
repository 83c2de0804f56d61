"""What files say, cut to what fits into a sentence: a setting may be a megabyte long, or a thousand lists deep."""

import reprlib

LENGTH = 60
_short = reprlib.Repr()
_short.maxstring = _short.maxother = _short.maxlong = LENGTH


def quoted(value: object) -> str:
    """As Python writes it, without what is deep or long in it."""
    text = _short.repr(value)
    return text if len(text) <= 2 * LENGTH else f"{text[:LENGTH]}\u2026"


def shown(value: object) -> str:
    """A text without its quotes, of whole characters only."""
    return value[:LENGTH].encode("utf-8", "replace").decode() if isinstance(value, str) else quoted(value)
