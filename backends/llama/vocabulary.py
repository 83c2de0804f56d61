"""A model's vocabulary: text to tokens and back, and which tokens are special."""

import ctypes
import re
from collections.abc import Iterator
from functools import cached_property
from itertools import repeat
from typing import Any

from backends.llama.binding import lib
from backends.llama.log import NativeError
from backends.llama.metadata import Metadata
from backends.llama.special_tokens import SpecialTokens
from backends.protocol import Vocabulary

PIECE_BYTES = 256
MAX_TEMPLATE = 2**18
# llama.cpp cuts text into words by std::regex, which recurses for each character of a word: some 100,000 in a row
# overflow the stack
MAX_RUN, MAX_MARKER = 2000, 64
LONG_RUN = re.compile(rf"(?<!\S)\S{{{MAX_RUN},}}|(?<!\s)\s{{{MAX_RUN},}}")


class NativeVocabulary:
    """Thread-safe. Without words (`NativeModel.has_vocabulary`) every call about tokens aborts the process."""

    def __init__(self, pointer: Any, metadata: Metadata):
        self.pointer = pointer
        self.num_tokens: int = lib.llama_vocab_n_tokens(pointer)
        self._metadata = metadata
        self._pieces: dict[int, bytes] = {}

    def named_tokens(self) -> dict[str, str]:
        """Texts of the tokens that chat templates name, as transformers calls them; without those it lacks."""
        unknown = self._metadata.get("tokenizer.ggml.unknown_token_id")
        tokens = {
            "bos_token": self.bos,
            "eos_token": self.end_of_text,
            "pad_token": lib.llama_vocab_pad(self.pointer),
            "sep_token": lib.llama_vocab_sep(self.pointer),
            "mask_token": lib.llama_vocab_mask(self.pointer),
            "unk_token": int(unknown) if unknown and unknown.isdecimal() else -1,
        }
        return {name: self.token_text(token) for name, token in tokens.items() if 0 <= token < self.num_tokens}

    def facts(self) -> Vocabulary:
        """A template of more than MAX_TEMPLATE characters is not told."""
        template = self._metadata.chat_template
        shown = template if template and len(template) <= MAX_TEMPLATE else None
        marks = (lib.llama_vocab_fim_pre, lib.llama_vocab_fim_suf, lib.llama_vocab_fim_mid)
        return Vocabulary(
            tuple(self.named_tokens().items()),
            tuple(sorted(self.ends())),
            self.num_tokens,
            shown,
            fills_in=all(mark(self.pointer) >= 0 for mark in marks),
        )

    def has_control(self, text: str) -> bool:
        """Whether one token is this text, and is no text for people."""
        tokens = self.tokenize(text, add_special=False, parse_special=True)
        return len(tokens) == 1 and not self.piece(tokens[0])

    @property
    def adds_bos(self) -> bool:
        return bool(lib.llama_vocab_get_add_bos(self.pointer))

    def token_text(self, token: int) -> str:
        """The text of a special token, empty when there is none (id −1)."""
        return self.piece(token, special=True).decode("utf-8", "replace") if token >= 0 else ""

    def longest_text(self) -> int:
        """Of all tokens, in bytes as they lie in the vocabulary: of no text does one token hold more characters."""
        texts = map(lib.llama_vocab_get_text, repeat(self.pointer), range(self.num_tokens))
        return max(map(len, filter(None, texts)), default=0)

    @property
    def bos(self) -> int:
        return int(lib.llama_vocab_bos(self.pointer))

    @property
    def end_of_text(self) -> int:
        return int(lib.llama_vocab_eos(self.pointer))

    @property
    def adds_eos(self) -> bool:
        return bool(lib.llama_vocab_get_add_eos(self.pointer))

    @property
    def closing(self) -> int | None:
        """The token that the tokenizer puts behind a text."""
        if lib.llama_vocab_get_add_sep(self.pointer):
            return int(lib.llama_vocab_sep(self.pointer))
        return self.end_of_text if self.adds_eos else None

    @cached_property
    def special(self) -> SpecialTokens:
        return SpecialTokens(self.pointer, self.num_tokens, self._metadata.get("tokenizer.ggml.eom_token_id"))

    def ends(self) -> frozenset[int]:
        """All tokens that end an answer."""
        return self.special.ends()

    def tokenize(self, text: str, add_special: bool, parse_special: bool) -> list[int]:
        """A run too long for a word is cut, because llama.cpp would end the process; the text stays the same."""
        pieces = list(_pieces(text))
        if len(pieces) == 1 or not self._has_words:
            return self._tokenize(text, add_special, parse_special)
        tokens = [self.bos] if add_special and self.adds_bos else []
        return tokens + [token for piece in pieces for token in self._tokenize(piece, False, parse_special)]

    @property
    def _has_words(self) -> bool:
        """Whether text is cut into words before it becomes tokens."""
        return bool(lib.llama_vocab_type(self.pointer) == lib.LLAMA_VOCAB_TYPE_BPE)

    def _tokenize(self, text: str, add_special: bool, parse_special: bool) -> list[int]:
        data = text.encode("utf-8", "surrogatepass")
        room = len(data) + 8
        tokens = (lib.llama_token * room)()
        count = lib.llama_tokenize(self.pointer, data, len(data), tokens, room, add_special, parse_special)
        if count < 0:
            raise NativeError(f"llama_tokenize needs room for {-count} tokens")
        return list(tokens[:count])

    def piece(self, token: int, special: bool = False) -> bytes:
        """The bytes of one token; of control tokens only when `special`."""
        if not special and (known := self._pieces.get(token)) is not None:
            return known
        buffer = ctypes.create_string_buffer(PIECE_BYTES)
        length = lib.llama_token_to_piece(self.pointer, token, buffer, PIECE_BYTES, 0, special)
        if length < 0:
            buffer = ctypes.create_string_buffer(-length)
            length = lib.llama_token_to_piece(self.pointer, token, buffer, -length, 0, special)
        piece = buffer.raw[:length]
        if not special:
            self._pieces[token] = piece
        return piece


def _pieces(text: str) -> Iterator[str]:
    """The text, cut within runs that are too long; not within what may be a marker of a template."""
    begin = 0
    for run in LONG_RUN.finditer(text):
        cut = run.start() + MAX_RUN
        while cut < run.end():
            marker = max(text.rfind(sign, cut - MAX_MARKER, cut) for sign in "<[")
            cut = cut if marker < 0 else marker
            yield text[begin:cut]
            begin, cut = cut, cut + MAX_RUN
    yield text[begin:]
