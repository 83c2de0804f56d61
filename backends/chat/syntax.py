"""What a format must be able to do with calls: recognise, read and write them, and hold a model to them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from backends.chat.constraint import Constraint
from backends.chat.offered import Offered
from backends.chat.reader import Reader, Steps
from backends.chat.telling import Telling
from backends.messages import Tool, ToolCall


@dataclass(frozen=True, slots=True)
class Parsing:
    """One answer: where its text comes from, and who tells what it is."""

    reader: Reader
    telling: Telling
    offered: Offered


class Syntax(Protocol):
    @property
    def openers(self) -> tuple[str, ...]:
        """Texts with which calls begin, wherever they stand."""

    @property
    def texts(self) -> tuple[str, ...]:
        """The marks around calls and their parts."""

    @property
    def firsts(self) -> str:
        """Characters with which calls may begin at the start of an answer, without an opener."""

    def read(self, parsing: Parsing) -> Steps[None]:
        """The calls that begin here. Raises Broken, and what was read since the last whole one is none."""

    def write(self, calls: Sequence[ToolCall]) -> str:
        """As the model would have written them."""

    def constrain(self, constraint: Constraint, tools: Iterable[Tool], is_parallel: bool) -> str:
        """An expression of the grammar: one call of the tools, or several."""
