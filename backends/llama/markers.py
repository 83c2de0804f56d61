"""The texts that a vocabulary reads as one token each, before all else. Knows tokens and texts, nothing of llama.cpp's
library; finds them as its `tokenizer_st_partition` does (llama-vocab.cpp)."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

NUM_FIRST = 6  # characters of a marker by which it is looked for
WHITE = " \t\n\v\f\r"  # C's isspace
Span = tuple[int, int]  # [begin, end) in characters


@dataclass(frozen=True, slots=True)
class Marker:
    """is_control: read only where control tokens are read, else everywhere. is_guarded: llama.cpp reads it everywhere,
    and yet templates alone may write it. strips: the white space before or behind it goes."""

    token: int
    text: str
    is_control: bool
    is_guarded: bool = False
    strips_left: bool = False
    strips_right: bool = False

    @property
    def rank(self) -> tuple[int, int]:
        """The longest in bytes is looked for first."""
        return -len(self.text.encode()), self.token


@dataclass(frozen=True, slots=True)
class Part:
    """Of a text: a marker (token), or characters from begin to end that hold none."""

    begin: int
    end: int
    token: int | None = None


class Markers:
    def __init__(self, markers: Iterable[Marker]):
        markers = sorted(markers, key=lambda marker: marker.rank)
        self._all = _Index(markers)
        own = [marker for marker in markers if marker.is_control or marker.is_guarded]
        self._own = _Index(own)
        self._controls = frozenset(marker.token for marker in own if marker.is_control)
        self._joined = "\0".join(["", *(marker.text for marker in own), ""])
        self._firsts = frozenset(marker.text[0] for marker in own)
        self._lasts = frozenset(marker.text[-1] for marker in own)
        self._longest = max((len(marker.text) for marker in own), default=0)

    def is_control(self, token: int) -> bool:
        return token in self._controls

    def in_text(self, text: str) -> list[Marker]:
        """The control tokens whose texts stand in it."""
        return self._own.found_in(text)

    def may_arise(self, said: Iterable[str]) -> bool:
        """Whether one stands in what people said, or could where a template writes its own text beside it."""
        return any(self._own.is_in(text) or self._may_complete(text) for text in said)

    def are_said(self, text: str, said: tuple[Span, ...]) -> bool:
        """Whether one stands where people wrote, or partly there."""
        found = self._own.matches(text) if said else ()
        return any(_overlaps(said, begin, begin + len(marker.text)) for begin, marker in found)

    def split(self, text: str, said: tuple[Span, ...] = ()) -> list[Part]:
        """The markers, control tokens only where people did not say them, and the texts between them, each to be read
        by itself. In time that grows with the text alone; llama.cpp's with the square of the number of markers."""
        parts = [Part(0, len(text))]
        for marker in self._all.found_in(text):
            parts = [new for part in parts for new in _split_part(text, part, marker, said)]
        return parts

    def _may_complete(self, said: str) -> bool:
        """The edges that matter are those of the text as it is, and without white space: templates trim."""
        for text in {said, said.strip()}:
            if 0 < len(text) < self._longest and text in self._joined:
                return True
            begins = range(max(0, len(text) - self._longest + 1), len(text))
            if any(text[i] in self._firsts and f"\0{text[i:]}" in self._joined for i in begins):
                return True
            ends = range(1, min(len(text), self._longest))
            if any(text[end - 1] in self._lasts and f"{text[:end]}\0" in self._joined for end in ends):
                return True
        return False


class _Index:
    """Finds which of many markers stand in a text, in one pass over it."""

    def __init__(self, markers: list[Marker]):
        self._by_text: dict[str, Marker] = {}
        lengths: dict[str, set[int]] = {}
        for marker in markers:
            self._by_text.setdefault(marker.text, marker)
            lengths.setdefault(marker.text[:NUM_FIRST], set()).add(len(marker.text))
        # of all markers that could begin with these characters
        self._lengths = {
            first: sorted({length for size in range(1, NUM_FIRST + 1) for length in lengths.get(first[:size], ())})
            for first in lengths
        }
        self._beginning = re.compile(f"(?=({_any_of(lengths)}))") if markers else None

    def is_in(self, text: str) -> bool:
        return next(self.matches(text), None) is not None

    def found_in(self, text: str) -> list[Marker]:
        """In the order in which llama.cpp looks for them."""
        found = {marker.token: marker for _, marker in self.matches(text)}
        return sorted(found.values(), key=lambda marker: marker.rank)

    def matches(self, text: str) -> Iterator[tuple[int, Marker]]:
        """Each with where it begins."""
        for match in self._beginning.finditer(text) if self._beginning else ():
            begin = match.start()
            for length in self._lengths[match[1]]:
                if marker := self._by_text.get(text[begin : begin + length]):
                    yield begin, marker


def _any_of(texts: Iterable[str]) -> str:
    """A pattern of all of them, as a tree: thousands of alternatives would be tried one after the other."""
    tree: dict[str, Any] = {}
    for text in texts:
        node = tree
        for character in text:
            node = node.setdefault(character, {})
        node[""] = {}
    return _pattern(tree)


def _pattern(node: dict[str, Any]) -> str:
    choices = [re.escape(character) + _pattern(child) for character, child in node.items() if character]
    return f"(?:{'|'.join(choices)})" + ("?" if "" in node else "") if choices else ""


def _split_part(text: str, part: Part, marker: Marker, said: tuple[Span, ...]) -> Iterator[Part]:
    if part.token is not None:
        yield part
        return
    begin = search = part.begin
    while (at := text.find(marker.text, search, part.end)) >= 0:
        end = at + len(marker.text)
        is_said = _overlaps(said, at, end)
        if is_said and marker.is_control:
            search = at + 1
        elif is_said and marker.is_guarded:
            search = at + 2  # behind the signs that it begins with, where a word ends anyway
            yield Part(begin, search)
            begin = search
        else:
            yield from _text(text, begin, at, marker.strips_left)
            yield Part(at, end, marker.token)
            begin = search = _behind(text, end, part.end, marker.strips_right)
    yield from _text(text, begin, part.end)


def _text(text: str, begin: int, end: int, strips_end: bool = False) -> Iterator[Part]:
    while strips_end and end > begin and text[end - 1] in WHITE:
        end -= 1
    if end > begin:
        yield Part(begin, end)


def _behind(text: str, begin: int, end: int, strips: bool) -> int:
    while strips and begin < end and text[begin] in WHITE:
        begin += 1
    return begin


def _overlaps(said: tuple[Span, ...], begin: int, end: int) -> bool:
    after = bisect_right(said, end - 1, key=lambda span: span[0])  # the spans before it begin before `end`
    return after > 0 and said[after - 1][1] > begin
