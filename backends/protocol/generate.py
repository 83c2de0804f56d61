"""One answer wanted, and what is said of it while it is made."""

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any

from backends.messages import Message, Tool
from backends.protocol.infill import Infill
from backends.protocol.sampling import Grammar, SamplingParams
from backends.protocol.tool_choice import AS_IT_LIKES, ToolChoice


class Priority(IntEnum):
    """A person who waits at the window goes before a program that calls the port."""

    WINDOW = 0
    BATCH = 1


class Overflow(StrEnum):
    """What happens when prompt and answer reach the context. ERROR: a longer prompt is refused, an answer ends there.

    ROLL: the answer goes on. Its head stays (all of the prompt up to a quarter of the context), the older half of what
    follows is dropped, as often as needed; of a prompt that is longer the middle is dropped before it is read.
    Where the model can, what stays is moved instead of read again, and then still knows of what was dropped.
    """

    ERROR = "error"
    ROLL = "roll"


class Reads(StrEnum):
    """How a prompt is read of which only the tokens are wanted. PROMPT: as an answer would be begun from it. BARE: a
    text, without the tokens that begin and end every one."""

    PROMPT = "prompt"
    BARE = "bare"


Prompt = tuple[Message, ...] | str | tuple[int, ...] | Infill


@dataclass(frozen=True, slots=True)
class Generate:
    """One answer wanted. `prompt` is a chat for the model's template, a text, token ids as they are, or what stands
    around the text that is wanted."""

    prompt: Prompt
    uid: int = 0  # given by the client that submits it
    sampling: SamplingParams = field(default_factory=SamplingParams)
    # None: until the model stops or the context is full; with Overflow.ROLL at most 8 times the context; 0: the prompt
    # is read, and nothing said
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    priority: Priority = Priority.BATCH
    draft: bool = True  # False switches drafting off for this answer
    draft_length: int | None = None  # guesses per step at most; None: as many as pay; 0 is off, too
    ignore_eos: bool = False
    logprobs: int | None = None  # with so many alternatives to each token, 0 to 20; None: not wanted
    after_filters: bool = False  # logprobs: of the tokens that were left to draw from, by their chances then
    prompt_logprobs: int | None = None  # the same of the prompt's tokens, all of which are read for that
    # False: all of the prompt is read anew, whatever is kept of earlier ones; the text may differ between the two, as
    # a batch of another size is rounded otherwise
    reuses: bool = True
    grammar: Grammar | None = None
    adapters: tuple[tuple[int, float], ...] | None = None  # place in the load's list, and scale; None: as loaded
    overflow: Overflow = Overflow.ERROR
    client: int | None = None  # answers of one client take turns with those of others; None: a client of its own
    # whether control tokens written in the prompt's text are read as such; None: those of a raw text are, those that
    # people wrote into a chat's messages are not
    special: bool | None = None
    continues: bool = False  # the chat's last message is the beginning of the answer: go on with it
    tools: tuple[Tool, ...] = ()  # that a chat offers
    tool_choice: ToolChoice = AS_IT_LIKES
    template_options: tuple[tuple[str, Any], ...] = ()  # what a chat's template may ask for: enable_thinking and others
    max_thoughts: int | None = None  # tokens, after which an answer must begin; None: no limit
    is_parsed: bool = False  # a chat's thoughts and calls are told apart from its text, as Output.parts
    tells_tokens: bool = False  # the ids of its tokens are told beside the text
    # seconds from its first token, after which it ends as soon as it has begun a line; None: no limit
    max_seconds: float | None = None
    tells_progress: bool = False  # `Progress` comes before the first Output
    reads: Reads | None = None  # nothing is decoded: a `Reading` of the prompt is all that comes


@dataclass(frozen=True, slots=True)
class Abort:
    uid: int


@dataclass(frozen=True, slots=True)
class Close:
    """End the process. A pipe at its end means the same, and at once: the application died."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Nobody reads this answer: compute no more of it until `Resume`. Unknown or finished uids are ignored."""

    uid: int


@dataclass(frozen=True, slots=True)
class Resume:
    uid: int
