"""What the step thread tells the thread that speaks, and what that one answers. Values only: no sequence crosses, so
each datum has one owner."""

from collections.abc import Sequence as Many
from dataclasses import dataclass
from typing import NamedTuple

from backends.chat.answer_parser import AnswerParser
from backends.embedding import Embedded, Ranked
from backends.engine.runner import Later
from backends.engine.stops import Stops
from backends.protocol import (
    Cells,
    Drafting,
    Failed,
    Finish,
    KVLayout,
    Outputs,
    Processor,
    Progress,
    PromptLogprobs,
    Timings,
)


@dataclass(frozen=True, slots=True)
class Begun:
    """An answer is wanted. eos: its tokens that say nothing. parser: tells thoughts and calls apart from its text."""

    uid: int
    eos: frozenset[int]
    stops: Stops
    parser: AnswerParser | None = None
    tells_tokens: bool = False
    max_seconds: float | None = None  # as in Generate


class Said(NamedTuple):  # as Stepped, made between two decodes: a frozen dataclass takes three times as long
    """What one step has added to one answer. is_hurried: with its end, which is not the model's own but what was in
    reach before the limit."""

    uid: int
    tokens: list[int]  # guesses that held behind its end are among them
    num_drafted: int
    num_rolled: int  # since it began
    finish: Finish | None
    logprobs: list[Later]  # of all tokens, if they are wanted
    timings: Timings | None  # with its first tokens: the prompt's account
    prompt: PromptLogprobs | None = None  # the same, if wanted
    is_hurried: bool = False

    @property
    def num_accepted(self) -> int:
        """Of the guesses: all tokens but the last one, which is the model's own."""
        return len(self.tokens) - 1 if self.num_drafted else 0


class Stepped(NamedTuple):
    """A step was decoded. now: seconds of time.perf_counter(), when its tokens were known."""

    said: Many[Said]
    num_sampled: int
    num_prompt_tokens: int
    now: float
    decode_seconds: float
    step_seconds: float


class Again(NamedTuple):
    """A step that was like the one before: each of these answers has said a token more."""

    uids: tuple[int, ...]
    sampled: list[list[int]]
    now: float
    decode_seconds: float
    step_seconds: float


@dataclass(frozen=True, slots=True)
class Ended:
    """An answer has ended outside of a step. problem: as in Output."""

    uid: int
    finish: Finish
    timings: Timings
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Lost:
    """An answer cannot go on."""

    failed: Failed


@dataclass(frozen=True, slots=True)
class Counts:
    """What Stats says of this moment."""

    num_running: int
    num_waiting: int
    cells: Cells
    drafting: Drafting
    kv_layout: KVLayout
    processor: Processor | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """To be told as it is: the outcome of what is no answer, or what is said before one."""

    event: Embedded | Ranked | Failed | Outputs | Progress


News = Begun | Stepped | Again | Ended | Lost | Counts | Told


@dataclass(frozen=True, slots=True)
class Stopped:
    """The way back: a stop string was found in what an answer has said. What it says from now on, nobody hears."""

    uid: int
