"""What is told of an answer with tools, in its order, and what a person decides of a call. Dataclasses only."""

from dataclasses import dataclass
from enum import StrEnum

from app.tools.tool import Outcome
from app.tools.toolbox import Offered
from backends.protocol import Finish, Message, Output, Progress, ToolCall


class Decision(StrEnum):
    ONCE = "once"
    ALWAYS = "always"  # this tool, from now on
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Noted:
    """Something that a person should know, and that ends nothing."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Said:
    """A piece of the answer, as the engine tells it. round: 0 for what comes before any result."""

    round: int
    output: Output


@dataclass(frozen=True, slots=True)
class Proposed:
    """The model wants a call. offered: None for a tool that there is none of; then nothing will be run.
    needs_decision: it waits for `decide`."""

    call: ToolCall
    offered: Offered | None
    needs_decision: bool


@dataclass(frozen=True, slots=True)
class Started:
    call_id: str


@dataclass(frozen=True, slots=True)
class Returned:
    """The call has its result, which the model is given. seconds: it took to run; 0 where nothing ran."""

    call_id: str
    outcome: Outcome
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Ended:
    """Last, always. messages: what the answer adds to the chat, calls and results included. finish: None where
    `problem`, a sentence, broke it off."""

    messages: tuple[Message, ...]
    finish: Finish | None = None
    problem: str | None = None


Event = Noted | Progress | Said | Proposed | Started | Returned | Ended
