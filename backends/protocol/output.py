"""What one step added to the answers."""

from dataclasses import dataclass
from enum import StrEnum

from backends.protocol.packing import quickly_packed
from backends.protocol.parts import Part, Text
from backends.protocol.timings import Timings


class Finish(StrEnum):
    """Why an answer ended. The values are OpenAI's, and `abort` for one that its reader called off."""

    STOP = "stop"
    LENGTH = "length"
    ABORT = "abort"


@quickly_packed
@dataclass(frozen=True, slots=True)
class Chance:
    """A token that could have come, and the natural logarithm of its probability."""

    piece: bytes
    logprob: float
    token: int | None = None  # its id; None: not known


@quickly_packed
@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token that came, by the model's own distribution: before temperature, penalties, filters and grammar; or by
    the one that it was drawn from, where that is wanted."""

    piece: bytes
    logprob: float
    alternatives: tuple[Chance, ...] = ()  # the likeliest, best first; the token itself may be among them
    token: int | None = None  # its id; None: not known


@dataclass(frozen=True, slots=True)
class PromptLogprobs:
    """What the model thought of a prompt's tokens. first: the bytes of the one before which nothing stands."""

    first: bytes
    others: tuple[TokenLogprob, ...]


@quickly_packed
@dataclass(frozen=True, slots=True)
class Output:
    """What one step added to one answer. `timings` comes with the first and with the last output. parts: where they
    were asked for, all that it turned out to be; `text` is what is for the person then. They are left out where all of
    it is text, as most tokens are."""

    uid: int
    text: str
    num_tokens: int  # new ones; text may lag behind them (a half character, a possible stop string)
    finish: Finish | None = None
    timings: Timings | None = None
    logprobs: tuple[TokenLogprob, ...] = ()  # of the new tokens but the one that ends the answer, if wanted
    stop: str | None = None  # the stop string that ended the answer, the request's own or one of the chat's format
    prompt: PromptLogprobs | None = None  # with the first output, if wanted
    parts: tuple[Part, ...] = ()
    tokens: tuple[int, ...] = ()  # ids of the new tokens but the one that ends the answer, if wanted
    problem: str | None = None  # with the last: why it ended before its limit, a sentence

    @property
    def all_parts(self) -> tuple[Part, ...]:
        """The text as one, too."""
        return self.parts or ((Text(self.text),) if self.text else ())


@quickly_packed
@dataclass(frozen=True, slots=True)
class Outputs:
    outputs: tuple[Output, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """The tokens of a prompt, and how the vocabulary writes each."""

    uid: int
    tokens: tuple[int, ...]
    pieces: tuple[bytes, ...]

    @property
    def text(self) -> str:
        """Half characters at its ends are shown as “�”."""
        return b"".join(self.pieces).decode("utf-8", "replace")
