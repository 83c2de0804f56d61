"""An answer, as it comes, becomes text, thoughts and calls."""

from collections.abc import Callable, Generator, Iterable

from backends.chat.format import Format
from backends.chat.ids import new_id as any_id
from backends.chat.offered import Offered
from backends.chat.reader import Broken, Reader, Steps, Stops
from backends.chat.reasoning import Reasoning, read_thoughts
from backends.chat.reasoning import named as reasoning_named
from backends.chat.syntax import Parsing, Syntax
from backends.chat.syntaxes.harmony import Harmony
from backends.chat.telling import Telling
from backends.messages import Tool
from backends.protocol.parts import Part

HARMONY = "harmony"  # tells reasoning, calls and answers apart by itself


class ChatParser:
    """The same events come of a text however it is cut, but for where texts are cut. Costs time and memory that grow
    with the text alone."""

    def __init__(
        self,
        format: Format | None,
        reasoning: Reasoning | None,
        tools: Iterable[Tool] = (),
        is_thinking: bool = False,
        new_id: Callable[[], str] | None = None,
    ):
        """format: None where no tools are offered. is_thinking: the prompt ended within thoughts. new_id: makes ids
        for calls without; None: as the format wants them."""
        self._reader = Reader()
        self._telling = Telling(self._reader, new_id or (format.new_id if format else any_id))
        self._parsing = Parsing(self._reader, self._telling, Offered(tools))
        self._syntaxes = format.syntaxes if format else ()
        self._reasoning = reasoning_named(HARMONY) if format and format.name == HARMONY else reasoning
        self._is_thinking = is_thinking
        self._marks = (*(format.marks if format else ()), *(reasoning.marks if reasoning else ()))
        self._steps: Generator[None, None, None] | None = self._answer()

    def feed(self, text: str) -> list[Part]:
        self._reader.push(text)
        self._go_on()
        return self._telling.events()

    def finish(self) -> list[Part]:
        """No more will come."""
        self._reader.end()
        self._go_on()
        self._telling.finish()
        return self._telling.events()

    def _go_on(self) -> None:
        if self._steps is not None:
            try:
                next(self._steps)
            except StopIteration:
                self._steps = None

    def _answer(self) -> Steps[None]:
        if self._reasoning and self._reasoning.name == HARMONY:
            yield from Harmony().read_answer(self._parsing)
            return
        if self._is_thinking and self._reasoning:
            yield from read_thoughts(self._parsing, self._reasoning)
        yield from self._read_bare()
        calls = {opener: syntax for syntax in reversed(self._syntaxes) for opener in syntax.openers}
        opener = self._reasoning.opener if self._reasoning else ""
        stops = Stops((*calls, *self._marks, opener))
        while found := (yield from self._reader.until(stops, lambda _: self._telling.text())):
            if found in calls:
                yield from self._read_calls(calls[found], found)
            elif found in self._marks:
                yield from self._reader.expect(found)
                self._telling.markup()
            else:
                yield from self._read_thoughts(found)
            if self._telling.is_silent:
                yield from self._read_bare()

    def _read_thoughts(self, opener: str) -> Steps[None]:
        assert self._reasoning
        yield from self._reader.expect(opener)
        if self._telling.is_silent or self._reasoning.is_anywhere:
            yield from read_thoughts(self._parsing, self._reasoning)
        else:  # somebody writes about it
            self._telling.text()

    def _read_bare(self) -> Steps[None]:
        """Calls without marks, with which an answer may begin."""
        bare = {first: syntax for syntax in reversed(self._syntaxes) for first in syntax.firsts}
        if bare:
            yield from self._reader.skip_white()
            first = yield from self._reader.peek()
            self._telling.text()
            if first in bare:
                yield from self._read_calls(bare[first])

    def _read_calls(self, syntax: Syntax, opener: str = "") -> Steps[None]:
        begin = self._reader.num_read
        try:
            yield from syntax.read(self._parsing)
        except Broken:
            if self._reader.num_read == begin:  # so that it is not found again
                yield from self._reader.accept(opener)
            self._telling.break_off()
        else:
            self._telling.close_calls()
