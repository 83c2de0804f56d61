"""Reads a text that is still being written. Its methods are generators: they yield while they need more of it, so that
a format is read from top to bottom, however its text is cut. Every character is looked at a bounded number of times."""

import re
from collections.abc import Callable, Generator, Iterable
from typing import TypeVar

T = TypeVar("T")
Steps = Generator[None, None, T]
WHITE = re.compile(r"\s+")


class Broken(Exception):
    """What stands here is not what the format says, or the text has ended within it."""


class Stops:
    """Texts that are looked for."""

    def __init__(self, texts: Iterable[str]):
        self.texts = tuple(sorted({text for text in texts if text}, key=len, reverse=True))
        self._any = re.compile("|".join(map(re.escape, self.texts)) or "(?!)")
        self._firsts = frozenset(text[0] for text in self.texts)
        self._longest = max(map(len, self.texts), default=0)

    def find(self, text: str, begin: int) -> re.Match[str] | None:
        return self._any.search(text, begin)

    def end_of_rest(self, text: str, begin: int) -> int:
        """Where, of a text without any, an end begins that may become one."""
        for at in range(max(begin, len(text) - self._longest + 1), len(text)):
            if text[at] in self._firsts and any(stop.startswith(text[at:]) for stop in self.texts):
                return at
        return len(text)


class Reader:
    def __init__(self) -> None:
        self._text = ""
        self._at = 0
        self._read: list[str] = []
        self._is_over = False
        self.num_read = 0  # characters

    def push(self, text: str) -> None:
        self._text = self._text[self._at :] + text
        self._at = 0

    def end(self) -> None:
        self._is_over = True

    def taken(self) -> str:
        """What was read since the last time."""
        text = "".join(self._read)
        self._read.clear()
        return text

    def peek(self) -> Steps[str]:
        """The next character; nothing at the end."""
        while self._at == len(self._text) and not self._is_over:
            yield
        return self._text[self._at : self._at + 1]

    def peek_behind(self, text: str) -> Steps[str]:
        """The character behind this text, which stands here, and white space; nothing at the end."""
        while True:
            rest = self._text[self._at + len(text) :].lstrip()
            if rest or self._is_over:
                return rest[:1]
            yield

    def accept(self, *texts: str) -> Steps[str | None]:
        """The longest of the texts that stands here."""
        longest_first = sorted(texts, key=len, reverse=True)
        while True:
            for text in longest_first:
                here = self._text[self._at : self._at + len(text)]
                if here == text:
                    return self._take(len(text))
                if text.startswith(here) and not self._is_over:  # it may become this one
                    break
            else:
                return None
            yield

    def expect(self, *texts: str) -> Steps[str]:
        """Raises Broken where none of them stands."""
        found = yield from self.accept(*texts)
        if found is None:
            raise Broken
        return found

    def skip_white(self) -> Steps[None]:
        yield from self.run(WHITE)

    def run(self, pattern: re.Pattern[str], most: int | None = None) -> Steps[str]:
        """What matches of single characters here. pattern: repeats a class of them. Raises Broken beyond `most`."""
        pieces, num = list[str](), 0
        while (yield from self.peek()) and (piece := self.run_now(pattern)):
            pieces.append(piece)
            num += len(piece)
            if most is not None and num > most:
                raise Broken
        return "".join(pieces)

    def any_one(self) -> Steps[str]:
        """The next character, whatever it is. Raises Broken at the end."""
        if not (yield from self.peek()):
            raise Broken
        return self._take(1)

    def run_now(self, pattern: re.Pattern[str]) -> str:
        """What matches here of what has come."""
        found = pattern.match(self._text, self._at)
        return self._take(len(found[0])) if found else ""

    def until(self, stops: Stops, tell: Callable[[str], None]) -> Steps[str | None]:
        """Which stop stands here, after all before it was read and told; None at the end of the text."""
        while True:
            found = stops.find(self._text, self._at)
            end = found.start() if found else stops.end_of_rest(self._text, self._at)
            end = len(self._text) if self._is_over and not found else end
            if end > self._at:
                tell(self._take(end - self._at))
            if found:
                return found[0]
            if self._is_over:
                return None
            yield

    def _take(self, num: int) -> str:
        text = self._text[self._at : self._at + num]
        self._at += num
        self.num_read += num
        self._read.append(text)
        return text
