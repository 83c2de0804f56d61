"""The texts that a vocabulary reads as one token each, before all else. Knows tokens and texts, nothing of llama.cpp's
library; finds them as its `tokenizer_st_partition` does (llama-vocab.cpp)."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

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
    """Of a text: a marker that is read (token), or characters from begin to end. is_taken: they are a marker that
    stays text for now. is_cut: what follows must not be read together with them."""

    begin: int
    end: int
    token: int | None = None
    is_taken: bool = False
    is_cut: bool = False


class Markers:
    def __init__(self, markers: Iterable[Marker]):
        markers = sorted(markers, key=lambda marker: marker.rank)
        self._all = _Index(markers)
        own = [marker for marker in markers if marker.is_control or marker.is_guarded]
        self._own = _Index(own)
        self._joined = "\0".join(["", *(marker.text for marker in own), ""])
        self._firsts = frozenset(marker.text[0] for marker in own)
        self._lasts = frozenset(marker.text[-1] for marker in own)
        self._longest = max((len(marker.text) for marker in own), default=0)

    def in_text(self, text: str) -> list[Marker]:
        """The control tokens whose texts stand in it."""
        return self._own.found_in(text)

    def may_arise(self, said: Iterable[str]) -> bool:
        """Whether one stands in what people said, or could where a template writes its own text beside it."""
        return any(self._own.found_in(text) or self._may_complete(text) for text in said)

    def split(self, text: str, said: tuple[Span, ...] = ()) -> list[Part]:
        """Control tokens outside of what people said, and the texts between them, each to be read as a whole."""
        parts = [Part(0, len(text))]
        for marker in self._all.found_in(text):
            parts = [new for part in parts for new in _split_part(text, part, marker, said)]
        return _joined(parts)

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
        self._lengths: dict[str, set[int]] = {}  # of the markers that begin with these two characters
        for marker in markers:
            self._by_text.setdefault(marker.text, marker)
            self._lengths.setdefault(marker.text[:2], set()).add(len(marker.text))
        self._beginning = re.compile(_any_of(self._lengths)) if markers else None

    def found_in(self, text: str) -> list[Marker]:
        """In the order in which llama.cpp looks for them."""
        found = {marker.rank: marker for marker in self._matches(text)}
        return [found[rank] for rank in sorted(found)]

    def _matches(self, text: str) -> Iterator[Marker]:
        for match in self._beginning.finditer(text) if self._beginning else ():
            begin = match.start()
            for length in (*self._lengths.get(match[1], ()), 1):
                if marker := self._by_text.get(text[begin : begin + length]):
                    yield marker


def _any_of(beginnings: Iterable[str]) -> str:
    """A pattern that is found at each of them, also where they overlap; as a class of second characters to each first,
    because thousands of alternatives would be tried one after the other."""
    seconds: dict[str, set[str]] = {}
    for beginning in beginnings:
        seconds.setdefault(beginning[0], set()).add(beginning[1:])
    choices = []
    for first, second in seconds.items():
        some = "".join(re.escape(character) for character in sorted(second - {""}))
        choices.append(re.escape(first) + (f"[{some}]" if some else "") + ("?" if some and "" in second else ""))
    return f"(?=({'|'.join(choices)}))"


def _split_part(text: str, part: Part, marker: Marker, said: tuple[Span, ...]) -> Iterator[Part]:
    if part.token is not None or part.is_taken:
        yield part
        return
    begin, search = part.begin, part.begin
    while (at := text.find(marker.text, search, part.end)) >= 0:
        end = at + len(marker.text)
        is_said = _overlaps(said, at, end)
        if marker.is_control and is_said:
            search = at + 1
            continue
        if marker.is_guarded and is_said:
            if at > begin:
                yield Part(begin, at)
            begin = search = at + 2  # behind the signs that it begins with, where a word ends anyway
            yield Part(at, begin, is_taken=True, is_cut=True)
            continue
        left = at
        while marker.strips_left and left > begin and text[left - 1] in WHITE:
            left -= 1
        if left > begin:
            yield Part(begin, left)
        yield Part(at, end, marker.token) if marker.is_control else Part(at, end, is_taken=True)
        begin = end
        while marker.strips_right and begin < part.end and text[begin] in WHITE:
            begin += 1
        search = begin
    if begin < part.end:
        yield replace(part, begin=begin)


def _overlaps(said: tuple[Span, ...], begin: int, end: int) -> bool:
    after = bisect_right(said, end - 1, key=lambda span: span[0])  # the spans before it begin before `end`
    return after > 0 and said[after - 1][1] > begin


def _joined(parts: list[Part]) -> list[Part]:
    """Neighbouring texts are one, unless there is a cut between them."""
    joined: list[Part] = []
    for part in parts:
        last = joined[-1] if joined else None
        if last and part.token is None and last.token is None and last.end == part.begin and not last.is_cut:
            joined[-1] = replace(last, end=part.end, is_cut=part.is_cut)
        else:
            joined.append(part)
    return joined
