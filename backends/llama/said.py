"""Text that knows which of its characters people wrote, through everything that a template does with strings.

A template joins, cuts and trims what people said, and asks whether it contains `</think>`: so what they said has to be
ordinary text while the template runs, and its origin travels beside it. Where an operation is not known to keep places
(`center`, `translate`) all of its result counts as said, which costs a control token its meaning and never gives one.
"""

from collections.abc import Callable, Iterable, Iterator
from types import NoneType
from typing import Any, Self, SupportsIndex

from jinja2 import Undefined

Spans = tuple[tuple[int, int], ...]
PLAIN = (str, int, float, bool, NoneType, Undefined)  # what holds nothing of others; a str that is no Said


class Said(str):
    """_spans: [begin, end) of the characters that people wrote, ascending, disjoint and not touching."""

    __slots__ = ("_spans",)
    _spans: Spans

    def __new__(cls, text: str = "", spans: Spans = ()) -> Self:
        self = super().__new__(cls, text)
        self._spans = spans
        return self

    def __str__(self) -> str:
        return self  # str() of it keeps what it knows

    def __repr__(self) -> str:
        return all_said(str.__repr__(self))

    def __add__(self, other: str) -> "Said":
        return concat((self, other)) if isinstance(other, str) else NotImplemented

    def __radd__(self, other: str) -> "Said":
        return concat((other, self)) if isinstance(other, str) else NotImplemented

    def __mul__(self, times: SupportsIndex) -> "Said":
        text = str.__mul__(self, times)
        return all_said(text) if self._spans else Said(text)

    __rmul__ = __mul__

    def __getitem__(self, key: SupportsIndex | slice) -> "Said":
        text = str.__getitem__(self, key)
        if not self._spans:
            return Said(text)
        if not isinstance(key, slice):
            at = range(len(self))[key]
            return self._cut(at, at + 1)
        begin, end, step = key.indices(len(self))
        return self._cut(begin, max(begin, end)) if step == 1 else all_said(text)

    def __iter__(self) -> Iterator["Said"]:
        return (self._cut(at, at + 1) for at in range(len(self)))

    def join(self, parts: Iterable[str], /) -> "Said":
        pieces: list[str] = []
        for part in parts:
            pieces += (self, part) if pieces else (part,)
        return concat(pieces)

    def split(self, sep: str | None = None, maxsplit: SupportsIndex = -1) -> list[str]:
        return self._found(str.split(self, sep, maxsplit), sep)

    def rsplit(self, sep: str | None = None, maxsplit: SupportsIndex = -1) -> list[str]:
        return self._found(str.rsplit(self, sep, maxsplit), sep)

    def splitlines(self, keepends: bool = False) -> list[str]:
        at, lines = 0, []
        for whole, line in zip(str.splitlines(self, True), str.splitlines(self, keepends), strict=True):
            lines.append(self._cut(at, at + len(line)))
            at += len(whole)
        return list[str](lines)

    def partition(self, sep: str, /) -> tuple[str, str, str]:
        head, sign, tail = str.partition(self, sep)
        return self[: len(head)], self[len(head) : len(head) + len(sign)], self[len(self) - len(tail) :]

    def rpartition(self, sep: str, /) -> tuple[str, str, str]:
        head, sign, tail = str.rpartition(self, sep)
        return self[: len(head)], self[len(head) : len(head) + len(sign)], self[len(self) - len(tail) :]

    def strip(self, chars: str | None = None, /) -> "Said":
        return self.lstrip(chars).rstrip(chars)

    def lstrip(self, chars: str | None = None, /) -> "Said":
        return self[len(self) - len(str.lstrip(self, chars)) :]

    def rstrip(self, chars: str | None = None, /) -> "Said":
        return self[: len(str.rstrip(self, chars))]

    def removeprefix(self, prefix: str, /) -> "Said":
        return self[len(self) - len(str.removeprefix(self, prefix)) :]

    def removesuffix(self, suffix: str, /) -> "Said":
        return self[: len(str.removesuffix(self, suffix))]

    def replace(self, old: str, new: str, count: SupportsIndex = -1, /) -> "Said":
        if not old:
            return self._marked(str.replace(self, old, new, count), new)
        joiner: Said = as_said(new)
        return joiner.join(self.split(old, count))

    def encode(self, *_: Any, **__: Any) -> bytes:
        raise TypeError("bytes do not know who wrote them")

    def _cut(self, begin: int, end: int) -> "Said":
        spans = ((max(a, begin) - begin, min(b, end) - begin) for a, b in self._spans)
        return Said(str.__getitem__(self, slice(begin, end)), tuple(span for span in spans if span[0] < span[1]))

    def _found(self, parts: list[str], sep: str | None) -> list[str]:
        """The pieces of this text between separators, with what each knows. Without one only blanks lie between."""
        at, found = 0, []
        for part in parts:
            at = at if sep is not None else str.index(self, part, at)
            found.append(self._cut(at, at + len(part)))
            at += len(part) + len(sep or "")
        return list[str](found)

    def _marked(self, text: str, *others: Any) -> "Said":
        """What was made of it, and of others, whose places nobody knows."""
        return all_said(text) if self._spans or any(map(is_said, others)) else Said(text)


def as_said(value: Any) -> Any:
    """With methods that know origins, if it is a plain text."""
    return Said(value) if type(value) is str else value


def all_said(text: str) -> Said:
    return Said(text, ((0, len(text)),) if text else ())


def spans_of(text: str) -> Spans:
    return text._spans if isinstance(text, Said) else ()


def is_said(value: Any) -> bool:
    """Whether it is, or may hold, what people wrote."""
    if isinstance(value, Said):
        return bool(value._spans)
    return not isinstance(value, PLAIN)


def as_text(value: Any) -> str:
    """str() of it. Of a list the places are not known."""
    text = str(value)
    return text if isinstance(value, Said) or not is_said(value) else all_said(text)


def concat(parts: Iterable[str]) -> Said:
    """Raises TypeError for what is no text."""
    parts = list(parts)
    spans = list[tuple[int, int]]()
    head = spans_of(parts[0]) if parts else ()  # kept as it is: templates add piece after piece to a long text
    at = len(parts[0]) if parts else 0
    for part in parts[1:]:
        for begin, end in spans_of(part):
            if not spans and head and head[-1][1] == at + begin:
                head, begin = head[:-1], head[-1][0] - at
            elif spans and spans[-1][1] == at + begin:
                begin = spans.pop()[0] - at
            spans.append((at + begin, at + end))
        at += len(part)
    return Said("".join(parts), (*head, *spans))


def _same_places(name: str) -> Callable[[Said], Said]:
    def changed(self: Said) -> Said:
        text = getattr(str, name)(self)
        # no letter becomes less than one
        return Said(text, self._spans) if len(text) == len(self) else self._marked(text)

    return changed


def _no_places(name: str) -> Callable[..., Said]:
    def changed(self: Said, *args: Any, **named: Any) -> Said:
        return self._marked(getattr(str, name)(self, *args, **named), *args, *named.values())

    return changed


for _name in ("upper", "lower", "capitalize", "title", "swapcase", "casefold"):
    setattr(Said, _name, _same_places(_name))
for _name in ("center", "ljust", "rjust", "zfill", "expandtabs", "translate"):
    setattr(Said, _name, _no_places(_name))
