"""What an answer turns out to be, piece by piece. All the texts, in their order, are the answer as the model wrote it:
those of Text, Thought and Markup, and of each call the one that comes with its end."""

from dataclasses import dataclass

from backends.protocol.packing import quickly_packed


@quickly_packed
@dataclass(frozen=True, slots=True)
class Text:
    """For the person."""

    text: str


@quickly_packed
@dataclass(frozen=True, slots=True)
class Thought:
    text: str


@quickly_packed
@dataclass(frozen=True, slots=True)
class Markup:
    """What separates the others, and nobody reads."""

    text: str


@quickly_packed
@dataclass(frozen=True, slots=True)
class CallBegun:
    """index: among the calls of this answer, those that broke included."""

    index: int
    id: str
    name: str


@quickly_packed
@dataclass(frozen=True, slots=True)
class Arguments:
    """A further piece of a call's arguments; all of them together are a JSON object."""

    index: int
    text: str


@quickly_packed
@dataclass(frozen=True, slots=True)
class CallEnded:
    """text: the call as the model wrote it."""

    index: int
    text: str


@quickly_packed
@dataclass(frozen=True, slots=True)
class CallBroken:
    """A call that had begun is none after all: `text`, all that the model wrote of it, belongs to the answer's text."""

    index: int
    text: str


Part = Text | Thought | Markup | CallBegun | Arguments | CallEnded | CallBroken
