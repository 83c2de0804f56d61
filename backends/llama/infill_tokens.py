"""The prompt of a text's missing middle, as models were taught it: with tokens for before, behind and middle.

The order is that of llama-server's /infill and of Qwen2.5-Coder's report: other files, what is before, what is behind.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from backends.engine.runner import PromptError
from backends.llama.binding import lib
from backends.llama.prompt_tokens import PromptTokens
from backends.llama.vocabulary import NativeVocabulary
from backends.protocol import FailureKind, Infill

PROJECT, OWN_FILE = "myproject\n", "filename\n"  # the names that llama-server gives
SNIPPET = "\n\n--- snippet ---\n\n"  # before another file, where no token says that one begins
ROOM_FOR_ANSWER = 4  # other files leave a part in so many of the context free
MOST_CHARACTERS = 32  # of a token, as a rule: a file of more for each token that it may have is not read
CANNOT = (
    "This model cannot fill in text between two others: its vocabulary has no tokens for that. Load a model that was "
    "trained for it, such as one of the Qwen-Coder or StarCoder families, or leave the text behind out."
)


@dataclass(frozen=True, slots=True)
class Marks:
    """project and file begin a list of other files and each of these; None where the vocabulary has no such token."""

    prefix: int
    suffix: int
    middle: int
    project: int | None
    file: int | None

    @classmethod
    def of(cls, vocab: Any) -> Self | None:
        tokens = (lib.llama_vocab_fim_pre(vocab), lib.llama_vocab_fim_suf(vocab), lib.llama_vocab_fim_mid(vocab))
        if min(tokens) < 0:
            return None
        project, file = lib.llama_vocab_fim_rep(vocab), lib.llama_vocab_fim_sep(vocab)
        return cls(*tokens, project if project >= 0 else None, file if file >= 0 else None)


class InfillTokens:
    def __init__(self, vocabulary: NativeVocabulary, tokens: PromptTokens):
        self._vocabulary = vocabulary
        self._tokens = tokens

    @cached_property
    def _marks(self) -> Marks | None:
        return Marks.of(self._vocabulary.pointer)

    def of(self, prompt: Infill, context: int | None, reads_markers: bool) -> list[int]:
        """context: tokens that prompt and answer have together; None: no limit. Raises PromptError where the model
        cannot."""
        marks = self._marks
        if marks is None:
            raise PromptError(FailureKind.NO_INFILL, CANNOT, "suffix")
        before, behind = (self._tokens.of_part(text, reads_markers) for text in (prompt.prefix, prompt.suffix))
        own = [marks.prefix, *before, marks.suffix, *behind, marks.middle]
        room = None if context is None else context - context // ROOM_FOR_ANSWER - len(own)
        return self._tokens.begun([*self._files(marks, prompt.files, room, reads_markers), *own])

    def _files(
        self, marks: Marks, files: tuple[tuple[str, str], ...], room: int | None, reads_markers: bool
    ) -> list[int]:
        """The last ones, as many as there is room for."""
        last: list[list[int]] = []
        for name, text in reversed(files):
            if room is not None and len(text) > MOST_CHARACTERS * room:
                break
            one = self._file(marks, name, reads_markers) + self._tokens.of_part(text, reads_markers)
            if room is not None:
                room -= len(one)
                if room < 0:
                    break
            last.append(one)
        if not last:
            return []
        end = [] if marks.file is None else [marks.file, *self._tokens.of_part(OWN_FILE, reads_markers)]
        begin = [] if marks.project is None else [marks.project, *self._tokens.of_part(PROJECT, reads_markers)]
        return [*begin, *(token for one in reversed(last) for token in one), *end]

    def _file(self, marks: Marks, name: str, reads_markers: bool) -> list[int]:
        if marks.file is None:
            return self._tokens.of_part(SNIPPET, reads_markers)
        return [marks.file, *self._tokens.of_part(f"{name}\n", reads_markers)]
