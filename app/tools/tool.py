"""A tool as the application sees it: what a model is told of it, and one call of it. Knows no server and no chat."""

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

from backends.bounds import printable, shortened

MAX_TEXT = 32 << 10  # characters of a result
LEAST_TEXT = 1 << 10  # of one, however small the context


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a call. text: for the model, and for the person who reads along. is_error: the tool says that it
    failed, or could not be run at all."""

    text: str
    is_error: bool = False

    def within(self, length: int = MAX_TEXT) -> "Outcome":
        """At most `length` characters of printable lines; a longer one says how much of it is left out."""
        text = _lines(shortened(self.text, length))
        if max(len(text), len(self.text)) > length:
            note = f"\n[Cut: {len(self.text):,} characters, of which {length:,} are kept at most.]"
            text = shortened(text, max(length - len(note), 0)) + note
        return Outcome(text, self.is_error)


class Tool(Protocol):
    """name: as its source calls it. parameters: the JSON schema of its arguments, as text."""

    @property
    def name(self) -> str: ...

    @property
    def description(self) -> str: ...

    @property
    def parameters(self) -> str: ...

    def start(self, arguments: Mapping[str, Any]) -> "Future[Outcome]":
        """Run it, without waiting. To cancel the future calls it off; it raises nothing but CancelledError."""


def finished(outcome: Outcome) -> "Future[Outcome]":
    """Of a tool that needs no time."""
    future: Future[Outcome] = Future()
    future.set_result(outcome)
    return future


def _lines(text: str) -> str:
    """Without what moves a cursor or reorders text; tabs stay, as tables have them."""
    return "\n".join("\t".join(map(printable, line.split("\t"))) for line in text.splitlines())
