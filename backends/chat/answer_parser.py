"""One answer's parser, and the tokens that its format is written with."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from backends.chat.parser import ChatParser
from backends.protocol.parts import CallBroken, Part, Text


@dataclass(frozen=True, slots=True)
class AnswerParser:
    """marks: texts of control tokens, which nobody is shown, and by which the parser tells parts apart."""

    parser: ChatParser
    marks: Mapping[int, bytes] = field(default_factory=dict)

    def feed(self, text: str) -> tuple[Part, ...]:
        return tuple(self.parser.feed(text)) if text else ()

    def finish(self) -> tuple[Part, ...]:
        return tuple(self.parser.finish())


def text_of(parts: Iterable[Part]) -> str:
    """What is for the person."""
    return "".join(part.text for part in parts if isinstance(part, Text | CallBroken))
