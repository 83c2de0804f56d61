"""One hostile input and what must hold when it is met."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Case:
    """`attack` returns None when everything held, else one sentence that says what did not. It may raise: that is a
    fault as well. It cleans up behind itself. seconds: what it measures, for those whose bound is a time."""

    name: str
    attack: Callable[[], str | None]
    seconds: list[float] = field(default_factory=list)
