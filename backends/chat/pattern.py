"""How a call is written, as a text with places for what differs. One text serves to read, to write and to constrain."""

import re
from dataclasses import dataclass

from backends.chat.reader import Reader, Steps

PLACE = re.compile(r"\{([a-z]+)\}")
MAX_NAME = 256  # characters
NAME = re.compile(r"[^\s<>\"'={}()\[\],;|｜]+")


@dataclass(frozen=True, slots=True)
class Pattern:
    """text: what stands at `{name}` and its like is another one each time. All else stands there as it is, but for its
    white space, with which models are free."""

    text: str

    def write(self, **values: str) -> str:
        return PLACE.sub(lambda found: values[found[1]], self.text)

    def pieces(self) -> tuple[str, ...]:
        """Literals and names of places in turn, from a literal to a literal; some may be empty."""
        return tuple(PLACE.split(self.text))

    def words(self) -> tuple[str, ...]:
        """Of its literals."""
        return tuple(word for literal in self.pieces()[::2] for word in literal.split())

    @property
    def head(self) -> str:
        return self.pieces()[0]

    @property
    def tail(self) -> str:
        return self.pieces()[-1]


ALONE = Pattern("{calls}")  # around calls that have no marks of all of them


def first_word(literal: str) -> str:
    return next(iter(literal.split()), "")


def read_literal(reader: Reader, literal: str) -> Steps[None]:
    """Raises Broken."""
    for word in literal.split():
        yield from reader.skip_white()
        yield from reader.expect(word)


def read_head(reader: Reader, literal: str) -> Steps[bool]:
    """Whether it stands there, by its first word; all of it is read then. Raises Broken."""
    opener = first_word(literal)
    if not opener or (yield from reader.accept(opener)) is None:
        return False
    yield from read_literal(reader, literal.lstrip().removeprefix(opener))
    return True


def read_tail(reader: Reader, literal: str) -> Steps[None]:
    """It may be missing where the answer ends: what ends it is not shown, or was not needed. Raises Broken."""
    for word in literal.split():
        yield from reader.skip_white()
        if not (yield from reader.peek()):
            return
        yield from reader.expect(word)


def read_name(reader: Reader) -> Steps[str]:
    """Nothing where none stands. Raises Broken for what is longer than any."""
    yield from reader.skip_white()
    return (yield from reader.run(NAME, MAX_NAME))
