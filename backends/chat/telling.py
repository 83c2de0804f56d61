"""What has been read of an answer becomes events. Knows no format: those say what it is that they have read."""

from collections.abc import Callable
from itertools import groupby

from backends.chat.reader import Reader
from backends.protocol.parts import (
    Arguments,
    CallBegun,
    CallBroken,
    CallEnded,
    Markup,
    Part,
    Text,
    Thought,
)


class Telling:
    """White space between a text and markup belongs to the markup: it waits until it is known what follows."""

    def __init__(self, reader: Reader, new_id: Callable[[], str]):
        self._reader = reader
        self._new_id = new_id
        self._events: list[Part] = []
        self._white: list[str] = []  # behind a text, of which it may be a part
        self._pieces: list[str] | None = None  # of the call that is being read
        self._num_calls = 0
        self._is_begun = False
        self._follows_markup = False  # white space here separates
        self.is_silent = True  # nothing for the person yet

    def events(self) -> list[Part]:
        events, self._events = self._events, []
        return _joined(events)

    def text(self, text: str | None = None) -> None:
        """What was read is for the person."""
        text = self._reader.taken() if text is None else text
        self.is_silent = self.is_silent and (not text or text.isspace())
        self._say(Text, text)

    def thought(self) -> None:
        self._say(Thought, self._reader.taken())

    def markup(self) -> None:
        self._follows_markup = True
        if text := self._flushed() + self._reader.taken():
            self._add(Markup(text))

    def open_call(self) -> None:
        """What is read from here on is a call, if it turns out to be one."""
        if self._pieces is None:
            self._pieces = []

    def begin(self, name: str, id: str | None = None) -> None:
        assert self._pieces is not None, "open_call() comes first"
        self._is_begun = True
        self._follow_with(CallBegun(self._num_calls, id or self._new_id(), name))

    def argue(self, text: str) -> None:
        assert self._is_begun, "begin() comes first"
        if text:
            self._follow_with(Arguments(self._num_calls, text))

    def end_call(self) -> None:
        """Another one may begin where it ends."""
        self._close(CallEnded)

    def break_off(self) -> None:
        """What was read since open_call() is a text after all; nothing is, if the call has ended."""
        if self._is_begun:
            self._close(CallBroken)
        elif self._pieces is not None:
            self.text(self._call_text())
        else:
            self.text()
        self._pieces = None
        self.is_silent = False

    def close_calls(self) -> None:
        """What was read since the last call belongs to the calls."""
        if self._pieces:
            self._add(Markup("".join(self._pieces)))
        self._pieces = None
        self.is_silent = False
        self.markup()

    def drop_call(self) -> None:
        """What was read since open_call() is markup."""
        if self._pieces:
            self._add(Markup("".join(self._pieces)))
        self._pieces = None

    def finish(self) -> None:
        """White space at the end of a text is a part of it."""
        white = self._flushed()
        if white:
            self._add(Markup(white) if self._follows_markup else Text(white))

    def _close(self, kind: type[CallEnded | CallBroken]) -> None:
        self._follow_with(kind(self._num_calls, self._call_text()))
        self._follows_markup = kind is CallEnded
        self._num_calls += 1
        self._is_begun = False
        self._pieces = []

    def _call_text(self) -> str:
        assert self._pieces is not None
        text = "".join([*self._pieces, self._reader.taken()])
        self._pieces = []
        return text

    def _follow_with(self, event: Part) -> None:
        if self._pieces is not None and (text := self._reader.taken()):
            self._pieces.append(text)
        if white := self._flushed():
            self._add(Markup(white))
        self._add(event)

    def _say(self, kind: type[Text | Thought], text: str) -> None:
        rest = text.lstrip()
        said = rest.rstrip()
        if not said:
            self._white.append(text)
            return
        before = self._flushed() + text[: len(text) - len(rest)]
        if self._follows_markup:
            if before:
                self._add(Markup(before))
            before = ""
        self._follows_markup = False
        self._add(kind(before + said))
        self._white.append(rest[len(said) :])

    def _flushed(self) -> str:
        white = "".join(self._white)
        self._white.clear()
        return white

    def _add(self, event: Part) -> None:
        self._events.append(event)


def _joined(parts: list[Part]) -> list[Part]:
    """Neighbours of a kind as one, in time that grows with the text."""
    joined: list[Part] = []
    for (kind, _), group in groupby(parts, lambda part: (type(part), getattr(part, "index", None))):
        same = list(group)
        if kind is Arguments and isinstance(same[0], Arguments):
            same = [Arguments(same[0].index, _text(same))]
        elif kind is Text or kind is Thought or kind is Markup:
            same = [kind(_text(same))]
        joined += same
    return joined


def _text(parts: list[Part]) -> str:
    return "".join(part.text for part in parts if not isinstance(part, CallBegun))
