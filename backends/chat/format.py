"""One row of the table of formats."""

from collections.abc import Callable
from dataclasses import dataclass

from backends.chat.ids import new_id
from backends.chat.syntax import Syntax


@dataclass(frozen=True, slots=True)
class Format:
    """syntaxes: all that such a model writes; the first is the one that it is held to. offers: texts by which the
    format is known that a template writes where it offers tools, for those that write no calls. marks: texts around
    an answer that are no part of it."""

    name: str
    syntaxes: tuple[Syntax, ...]
    offers: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    new_id: Callable[[], str] = new_id

    @property
    def texts(self) -> tuple[str, ...]:
        """All that its calls are written with, word by word."""
        return tuple(dict.fromkeys(word for syntax in self.syntaxes for word in syntax.texts))

    @property
    def syntax(self) -> Syntax:
        return self.syntaxes[0]

    def __reduce__(self) -> str | tuple[object, ...]:
        from backends.chat.formats.table import named

        return named, (self.name,)
