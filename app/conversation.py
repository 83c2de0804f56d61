"""A chat as values: turns, and what an engine is asked. Knows no disk and no window."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from backends.protocol import Message, Timings

TITLE_LENGTH = 60


class Role(StrEnum):
    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True, slots=True)
class Turn:
    """`created` is in seconds since the epoch; `problem` is the sentence of what broke an answer off."""

    id: int
    role: Role
    text: str
    created: float
    model: str | None = None
    timings: Timings | None = None
    stopped: bool = False
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class ConversationInfo:
    id: int
    title: str
    updated: float


def to_messages(turns: Sequence[Turn], system_prompt: str) -> tuple[Message, ...]:
    """The prompt of a Generate, without answers that never began: templates refuse or echo empty ones."""
    head = (Message(Role.SYSTEM.value, system_prompt),) if system_prompt.strip() else ()
    said = (turn for turn in turns if turn.role is not Role.ASSISTANT or turn.text)
    return head + tuple(Message(turn.role.value, turn.text) for turn in said)


def to_text(turns: Sequence[Turn]) -> str:
    """The chat as one text that a base model goes on with: an answer follows what it continues without a break."""
    text = ""
    for turn in turns:
        is_new = turn.role is not Role.ASSISTANT and text and not text[-1].isspace()
        text += f" {turn.text}" if is_new else turn.text
    return text


def title_from(text: str) -> str:
    """A conversation's name from its first question: one line, cut at a word."""
    line = " ".join(text.lstrip()[: 10 * TITLE_LENGTH].split())  # of a whole book the first words are enough
    if len(line) <= TITLE_LENGTH:
        return line
    words = line[:TITLE_LENGTH].rsplit(" ", 1)[0]
    return f"{words.rstrip(' ,;:.-')}…"
