"""Finds what a person types in a text, whatever the case, and says where. Knows no disk and no window."""

from bisect import bisect_right
from dataclasses import dataclass

BEFORE, AFTER = 32, 96  # characters of an excerpt around what was found
MAX_MARKS = 1000  # places of one text


@dataclass(frozen=True, slots=True)
class Excerpt:
    """One line of a text, in three pieces: what was found stands in the middle, as the text has it."""

    before: str
    found: str
    after: str


def fold(text: str) -> str:
    """So that what differs in case alone is the same: “Straße” is found by “STRASSE”."""
    return text.replace("\0", " ").casefold()  # a NUL ends a text for some of SQLite


def marks(text: str, needle: str, most: int = MAX_MARKS) -> list[tuple[int, int]]:
    """Begin and end of each place in `text` as it is; needle: folded and not empty. Only the first `most` places."""
    folded = fold(text)
    places: list[tuple[int, int]] = []
    start = folded.find(needle)
    while start >= 0 and len(places) < most:
        end = start + len(needle)
        places.append((start, end))
        start = folded.find(needle, end)
    if len(folded) == len(text):  # folding makes nothing shorter: each character has become one
        return places
    return [(_unfolded(text, start), _unfolded(text, end - 1) + 1) for start, end in places]


def excerpt(text: str, needle: str) -> Excerpt | None:
    """Around the first place; None where there is none."""
    places = marks(text, needle, most=1)
    if not places:
        return None
    start, end = places[0]
    head, tail = text[max(0, start - BEFORE) : start], text[end : end + AFTER]
    before, found, after = (_one_line(piece) for piece in (head, text[start:end], tail))
    if start > BEFORE:
        before = f"…{before.split(' ', 1)[-1]}"  # from a whole word on
    if len(text) > end + AFTER:
        after = f"{after.rstrip()}…"
    return Excerpt(before, found, after)


def _unfolded(text: str, place: int) -> int:
    """Of which character of the text the character at `place` of the folded text has come."""
    return bisect_right(range(len(text)), place, key=lambda end: len(fold(text[: end + 1])))


def _one_line(text: str) -> str:
    words = " ".join(text.split())
    before, after = text[:1].isspace(), text[-1:].isspace()
    return f"{' ' if before else ''}{words}{' ' if after and words else ''}"
