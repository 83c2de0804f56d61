"""A chat as values: turns, and what an engine is asked. Knows no disk and no window."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from app.conversation_tree import Tree
from backends.protocol import Message, SamplingParams, Timings

TITLE_LENGTH = 60
LAST_SHARE = 0.25


class Role(StrEnum):
    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True, slots=True)
class Turn:
    """One message, and its place in the tree.

    `created` is in seconds since the epoch; `problem` is the sentence of what broke an answer off; `parent` is the turn
    that it follows. model, sampling and timings tell how an answer was made; is_edited: a person has written over it.
    steps: of an answer with tools, all that was said of it: turns with calls, their results, and the last words.
    """

    id: int
    role: Role
    text: str
    created: float
    model: str | None = None
    timings: Timings | None = None
    stopped: bool = False
    problem: str | None = None
    parent: int | None = None
    reasoning: str | None = None  # what an assistant thought before its answer
    sampling: SamplingParams | None = None
    is_edited: bool = False
    steps: tuple[Message, ...] = ()

    def messages(self) -> tuple[Message, ...]:
        """As a model is told of it; templates want a result for every call."""
        return self.steps or (Message(self.role.value, self.text, reasoning=self.reasoning),)


@dataclass(frozen=True, slots=True)
class ConversationInfo:
    """`updated` is in seconds since the epoch; `is_unread`: an answer has ended that nobody has looked at."""

    id: int
    title: str
    updated: float
    folder: str | None = None
    is_pinned: bool = False
    is_unread: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """A conversation with what a person looks for: in its title, or in these turns, in whatever branch."""

    info: ConversationInfo
    turns: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Chat:
    """A whole conversation with all its branches, as a value: to be copied, and to be written to a file.

    The ids of turns hold within it alone: each is larger than its parent's. `chosen` as in Tree.
    """

    title: str
    turns: tuple[Turn, ...]
    chosen: Mapping[int | None, int] = field(default_factory=dict)
    updated: float = 0.0  # seconds since the epoch
    folder: str | None = None
    is_pinned: bool = False

    @property
    def tree(self) -> Tree:
        return Tree(((turn.id, turn.parent) for turn in self.turns), self.chosen)

    def path(self) -> list[Turn]:
        """What is shown of it."""
        turns = {turn.id: turn for turn in self.turns}
        return [turns[turn] for turn in self.tree.path()]


def to_messages(turns: Sequence[Turn], system_prompt: str) -> tuple[Message, ...]:
    """The prompt of a Generate, without answers that never began: templates refuse or echo empty ones."""
    head = (Message(Role.SYSTEM.value, system_prompt),) if system_prompt.strip() else ()
    said = (turn for turn in turns if turn.role is not Role.ASSISTANT or turn.text or turn.steps)
    return head + tuple(message for turn in said for message in turn.messages())


def to_text(turns: Sequence[Turn]) -> str:
    """The chat as one text that a base model goes on with: an answer follows what it continues without a break."""
    text = ""
    for turn in turns:
        is_new = turn.role is not Role.ASSISTANT and text and not text[-1].isspace()
        text += f" {turn.text}" if is_new else turn.text
    return text


def last_turns(turns: Sequence[Turn], share: float = LAST_SHARE) -> list[Turn]:
    """The end of a chat, from a question on: as much as fits into this share of its characters, one question at least.

    Answers that never began are left out. Raises ValueError for a chat without a question.
    """
    said = [turn for turn in turns if turn.text]
    room = share * sum(len(turn.text) for turn in said)
    starts = [number for number, turn in enumerate(said) if turn.role is Role.USER]
    if not starts:
        raise ValueError("a chat without a question has no end to go on from")
    fitting = (start for start in starts if sum(len(turn.text) for turn in said[start:]) <= room)
    return said[next(fitting, starts[-1]) :]


def title_from(text: str) -> str:
    """A conversation's name from its first question: one line, cut at a word."""
    line = " ".join(text.lstrip()[: 10 * TITLE_LENGTH].split())  # of a whole book the first words are enough
    if len(line) <= TITLE_LENGTH:
        return line
    words = line[:TITLE_LENGTH].rsplit(" ", 1)[0]
    return f"{words.rstrip(' ,;:.-')}…"
