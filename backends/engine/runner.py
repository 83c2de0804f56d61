"""What the engine asks of a backend: decode a batch over slots, and turn text to tokens and back."""

from collections.abc import Callable
from collections.abc import Sequence as Many
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from backends.chat.answer_parser import AnswerParser
from backends.embedding import EmbeddingRequest, Question
from backends.engine.pooler import Pooler
from backends.engine.sequence import Sampler, Sequence
from backends.engine.stops import Stops
from backends.kv_layout import Size as Size
from backends.prompt_cache.state import Payload
from backends.protocol import DeviceMemory, FailureKind, Generate, Processor, Ready, TokenLogprob

Later = Callable[[], TokenLogprob]  # computed by whoever tells it, beside the next decode


class KVFull(Exception):
    """No free cells for this batch. The KV cache is as it was before the call."""


class NoMemory(Exception):
    """The KV cache cannot be made as large as that; str() says why. It holds what it held, in no more cells."""


class CellsLost(Exception):
    """The KV cache is empty, and perhaps smaller: it could not be made as large as that, nor again as it was."""


class LoadError(Exception):
    """The model could not be loaded; str() of it is a sentence for a person."""

    def __init__(self, kind: FailureKind, message: str):
        super().__init__(message)
        self.kind = kind


class PromptError(Exception):
    """A prompt that the template or the tokenizer refuses. about: as in Failed."""

    def __init__(self, kind: FailureKind, message: str, about: str | None = None):
        super().__init__(message)
        self.kind = kind
        self.about = about


class TooLong(Exception):
    """A text so far beyond the context that it is not read to its end; about so many tokens."""

    def __init__(self, num_tokens: int):
        super().__init__(num_tokens)
        self.num_tokens = num_tokens


class Lane(StrEnum):
    """Requests of one kind wait for each other on their way to the engine, and not for those of another kind."""

    PLAIN = "plain"  # tokens and texts, which take no time to speak of
    CHAT = "chat"  # for the model's template, which is foreign code
    SLOW = "slow"  # long ones, and those with a grammar that nobody has tried yet


@dataclass(slots=True)
class Step:
    """The share of one sequence in a batch. It samples when it reaches the end of its tokens."""

    seq: Sequence
    tokens: list[int]
    draft: list[int] = field(default_factory=list)
    logprobs: list[Later] = field(default_factory=list)  # of its sampled tokens, if they are wanted; for who has run it

    @property
    def samples(self) -> bool:
        return self.seq.num_computed + len(self.tokens) == len(self.seq.tokens)

    @property
    def num_rows(self) -> int:
        return len(self.tokens) + len(self.draft)

    @property
    def scored(self) -> range:
        """Its rows whose logits say what the model thinks of the prompt's next token, where that is wanted."""
        seq = self.seq
        if not seq.num_unscored:
            return range(0)
        first = len(seq.prompt_logprobs) - seq.num_computed
        assert first >= 0, "logits that were wanted were not seen"
        return range(first, min(len(self.tokens), seq.num_prompt - 1 - seq.num_computed))


class Runner(Protocol):
    """A KV cache of a size that changes, and the forward pass that fills it."""

    size: Size  # what is allocated
    limit: Size  # what it may become
    cell_step: int  # cells come in multiples of it, but for the limit
    max_batch_tokens: int  # at every size
    max_scored: int  # rows of a step that may be scored: their logits take memory
    shares_cells: bool  # False: each slot has its part of the cells, and room made in another one helps nobody
    # guesses that a step can take back; None: any number. If it is a number the model is recurrent: slots go back to
    # checkpoints alone, and where one sequence of a step guesses, all guess alike
    max_draft: int | None
    can_cut_saved: bool  # whether what `restore` brings back can be cut
    can_shift: bool  # whether `roll` may be called; a slot can be cut anywhere then

    def resize(self, size: Size) -> None:
        """Make the cache of this size, up to the limit. Every slot holds what it held, in shared cells what it shared;
        those that go must be empty, and what is left must fit. Guesses cannot be taken back over it. Raises NoMemory
        and CellsLost: there are as many slots as before."""

    def copy(self, source: int, target: int, length: int) -> None:
        """Let the empty slot `target` hold the first `length` tokens of `source`, at least `shortest` of it: in the
        same cells if slots share theirs, else in a copy, which costs its time."""

    def truncate(self, slot: int, length: int) -> None:
        """Forget what `slot` holds from position `length` on: all of it, down to `shortest` at most, or the guesses
        of the last step that were wrong, at once after it."""

    def shortest(self, slot: int, length: int) -> int:
        """The least that can be left of `slot`, which holds `length` tokens, if anything is."""

    def checkpoint(self, slot: int) -> bytearray:
        """What it takes to come back, by `rewind`, to where the slot is now. Not the cells of its attention layers."""

    def rewind(self, slot: int, length: int, checkpoint: bytearray) -> None:
        """Cut the slot down to where it, or another that held the same tokens, gave this checkpoint."""

    def roll(self, slot: int, begin: int, end: int) -> None:
        """Forget the tokens from begin to end, and move those behind them there. The cells from end on must be the
        slot's alone: a cell has one position. Nobody may copy what was moved, it has seen what is gone."""

    def save(self, slot: int, length: int) -> Payload:
        """The state of `slot`, which holds `length` tokens, as bytes that `restore` takes. Logits are not in it."""

    def restore(self, slot: int, payload: Payload) -> None:
        """Let the empty slot hold what was saved, in cells of its own. Raises KVFull, and leaves the slot empty.
        The bytes must be those of `save`, from the same model and options: others may end the process."""

    def run(self, steps: Many[Step]) -> list[list[int]]:
        """Decode all tokens and drafts; for each step its sampled tokens: none before the end of a prompt,
        else the accepted drafts and the one token after them. Of the rows that are scored the sequences get the
        logprobs. Raises KVFull."""

    def close(self) -> None: ...


class LoadedModel(Protocol):
    """A model in memory. One encoder thread a lane calls `encode` and `sampler`; `lane` is asked by any."""

    ready: Ready
    runner: Runner
    draft_runner: Runner | None
    pooler: Pooler | None  # None: it makes no vectors
    eos: frozenset[int]

    def lane(self, request: Question) -> Lane:
        """Where it waits. Takes no time."""

    def encode(self, request: Generate, context: int | None = None) -> list[int]:
        """Token ids of its prompt; never empty. Raises PromptError; with a `context`, TooLong for a text that is far
        longer."""

    def texts(self, request: EmbeddingRequest) -> list[list[int]]:
        """Token ids of what its pooler shall read, none of them empty. Raises PromptError."""

    def stops(self, request: Generate) -> Stops:
        """The texts that end its answer: its own, and those of the chat's format."""

    def piece(self, token: int) -> bytes:
        """The bytes of a token as they are shown; empty for control tokens."""

    def spell(self, tokens: list[int]) -> bytes:
        """All of them, control tokens too, as the model's vocabulary writes them."""

    def sampler(self, request: Generate, tokens: list[int], max_tokens: int) -> Sampler | None:
        """max_tokens: that its answer may have. None: greedy. Raises PromptError for what it cannot follow."""

    def parser(self, request: Generate, tokens: list[int]) -> AnswerParser | None:
        """What tells thoughts and calls apart from the text of its answer; None where it is nothing but text."""

    def devices(self) -> tuple[DeviceMemory, ...]: ...

    def processor(self) -> Processor | None:
        """How many of its threads compute now; None where they do not."""

    def state_key(self) -> str:
        """One line that differs for any two loads of which one could not continue the other's saved state."""

    def close(self) -> None: ...
