"""One answer's parser, the tokens that its format is written with, and how an answer with calls has ended."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from backends.chat.needed import Needed
from backends.chat.parser import ChatParser
from backends.protocol import Finish
from backends.protocol.parts import CallBroken, CallEnded, Markup, Part, Text


@dataclass(slots=True)
class AnswerParser:
    """marks: texts of control tokens, which nobody is shown, and by which the parser tells parts apart. needed: of an
    answer that must call."""

    parser: ChatParser
    marks: Mapping[int, bytes] = field(default_factory=dict)
    needed: Needed | None = None
    _ends_with_call: bool = False

    def feed(self, text: str) -> tuple[Part, ...]:
        return tuple(self._told(self.parser.feed(text))) if text else ()

    def finish(self, finish: Finish, is_hurried: bool) -> tuple[tuple[Part, ...], Finish]:
        """What is left, and how it has ended in truth. is_hurried: the end is not the model's own, but what was in
        reach before the limit: a call with such an end says what nobody meant, and is cut."""
        parts = self._told(self.parser.finish())
        is_hurried = is_hurried and finish is Finish.STOP and self._ends_with_call
        if self.needed and finish in (Finish.STOP, Finish.LENGTH):
            rest, is_called = self.needed.end(finish is Finish.LENGTH, is_hurried)
            parts += rest
            finish = Finish.STOP if is_called else finish
            is_hurried = is_hurried and not is_called
        return tuple(parts), Finish.LENGTH if is_hurried else finish

    def _told(self, parts: list[Part]) -> list[Part]:
        for part in parts:
            if not isinstance(part, Markup):
                self._ends_with_call = isinstance(part, CallEnded)
        return self.needed.told(parts) if self.needed else parts


def text_of(parts: Iterable[Part]) -> str:
    """What is for the person."""
    return "".join(part.text for part in parts if isinstance(part, Text | CallBroken))
