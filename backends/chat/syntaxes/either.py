"""Two ways of writing that begin alike: which one it is shows the character behind the opener."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from backends.chat.constraint import Constraint
from backends.chat.reader import Steps
from backends.chat.syntax import Parsing, Syntax
from backends.chat.syntaxes.objects import Objects
from backends.messages import Tool, ToolCall


@dataclass(frozen=True, slots=True)
class Either:
    """The first is the one that is written. One of them is Objects, which have a brace behind the opener or a bracket;
    without an opener, a brace in any case."""

    opener: str
    first: Syntax
    second: Syntax

    @property
    def openers(self) -> tuple[str, ...]:
        return tuple(filter(None, (self.opener,)))

    @property
    def texts(self) -> tuple[str, ...]:
        return self.first.texts + self.second.texts

    @property
    def firsts(self) -> str:
        return "".join(dict.fromkeys(self.first.firsts + self.second.firsts))

    def read(self, parsing: Parsing) -> Steps[None]:
        sign = yield from parsing.reader.peek_behind(self.opener)
        if not self.opener and sign == "[":
            sign = yield from parsing.reader.peek_behind(sign)
        is_object = sign in (("{", "[") if self.opener else ("{",))
        yield from (self.first if isinstance(self.first, Objects) == is_object else self.second).read(parsing)

    def write(self, calls: Sequence[ToolCall]) -> str:
        return self.first.write(calls)

    def constrain(self, constraint: Constraint, tools: Iterable[Tool], is_parallel: bool) -> str:
        return self.first.constrain(constraint, tools, is_parallel)
