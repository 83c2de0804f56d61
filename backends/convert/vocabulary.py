"""The vocabulary of a GGUF file as values. Knows neither the files that it is read from nor the one it goes to."""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Literal

from backends.child import Refusal
from backends.convert.chat_template import Templates

Model = Literal["gpt2", "llama", "gemma4", "bert"]  # byte-level BPE, SentencePiece, BPE without words, WordPiece


class TokenType(IntEnum):
    """llama.h `llama_token_type`."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


def can_be_written(text: str) -> bool:
    """JSON can hold half a character (\\ud800), which no UTF-8 can."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class AddedToken:
    """A text that is one token wherever it stands; is_special: it steers the model and is never a person's text."""

    text: str
    is_special: bool
    swallows_left: bool = False  # the spaces before it
    swallows_right: bool = False

    @property
    def type(self) -> TokenType:
        return TokenType.CONTROL if self.is_special else TokenType.USER_DEFINED


@dataclass(frozen=True, slots=True)
class WordCase:
    """What WordPiece makes of a text before it looks words up."""

    is_lowered: bool
    has_no_accents: bool


@dataclass(frozen=True, slots=True)
class Lexicon:
    """tokens, types, scores: one per row of the embedding. merges: "left right", best first, for BPE."""

    model: Model
    pre: str
    tokens: list[str]
    types: list[TokenType]
    merges: list[str] = field(default_factory=list)
    scores: list[float] | None = None
    adds_space: bool = False  # before a text, as SentencePiece does
    word_case: WordCase | None = None  # of WordPiece
    notes: tuple[str, ...] = ()

    def check_integrity(self) -> None:
        """llama.cpp ends the process when a text stands for two tokens. Raises Refusal."""
        if not (can_be_written("".join(self.tokens)) and can_be_written("".join(self.merges))):
            bad = next(text for text in (*self.tokens, *self.merges) if not can_be_written(text))
            raise Refusal(f"The tokenizer is damaged: {bad[:60]!r} is no text that could be written down.")
        seen: set[str] = set()
        texts = self.tokens
        if "\0" in "".join(texts):
            texts = [token.partition("\0")[0] for token in texts]  # as llama.cpp sees them
        if len(set(texts)) == len(texts):
            return
        twice = next(token for token in texts if token in seen or seen.add(token))  # type: ignore[func-returns-value]
        raise Refusal(f"The tokenizer is damaged: {twice[:60]!r} is the text of two tokens.")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """special_ids: "eos" -> id. notes: sentences about what the new file does otherwise than the checkpoint."""

    lexicon: Lexicon
    special_ids: dict[str, int]
    adds_bos: bool
    adds_eos: bool
    templates: Templates
    notes: tuple[str, ...] = ()
    is_phi3: bool = False  # its special tokens swallow the spaces after them, as llama.cpp does for this name
