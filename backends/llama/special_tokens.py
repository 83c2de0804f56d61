"""What llama.cpp says of a vocabulary's special tokens: which ones are read by their text, and which end an answer."""

from itertools import repeat
from typing import Any

from backends.llama.binding import lib
from backends.llama.markers import Marker

CONTROL = lib.LLAMA_TOKEN_ATTR_CONTROL | lib.LLAMA_TOKEN_ATTR_UNKNOWN
SPECIAL = CONTROL | lib.LLAMA_TOKEN_ATTR_USER_DEFINED
# of other tokens llama.cpp knows only by the file's word that they end an answer; `eom` it does not tell
NAMED_ENDS = (
    *(lib.llama_vocab_eos, lib.llama_vocab_eot),
    *(lib.llama_vocab_fim_pad, lib.llama_vocab_fim_rep, lib.llama_vocab_fim_sep),
)
# llama.cpp makes plain text of these control tokens of gpt-oss, so that its answers show them (llama-vocab.cpp)
HARMONY = frozenset(("<|channel|>", "<|message|>", "<|start|>", "<|constrain|>", "<|end|>"))


class SpecialTokens:
    """eom: what the file says of this one. Asks for each token once, because 262,144 calls take 0.2 s."""

    def __init__(self, vocab: Any, num_tokens: int, eom: str | None):
        self._vocab = vocab
        attributes = enumerate(map(lib.llama_vocab_get_attr, repeat(vocab), range(num_tokens)))
        self._attributes = {token: found for token, found in attributes if found & SPECIAL}
        named = [end(vocab) for end in NAMED_ENDS]
        named += [int(eom)] if eom and eom.isdecimal() else []
        self._named = [token for token in named if 0 <= token < num_tokens]

    def ends(self) -> frozenset[int]:
        """All tokens that end an answer."""
        candidates = (*self._attributes, *self._named)
        return frozenset(token for token in candidates if lib.llama_vocab_is_eog(self._vocab, token))

    def markers(self) -> list[Marker]:
        """Every token that is read by its text as a whole."""
        return [marker for token in self._attributes if (marker := self._marker(token))]

    def _marker(self, token: int) -> Marker | None:
        attributes = self._attributes[token]
        try:
            text = (lib.llama_vocab_get_text(self._vocab, token) or b"").decode()
        except UnicodeDecodeError:  # half a character: no text holds it
            return None
        if not text:
            return None
        is_control = bool(attributes & CONTROL)
        return Marker(
            token,
            text,
            is_control,
            is_guarded=not is_control and text in HARMONY,
            strips_left=bool(attributes & lib.LLAMA_TOKEN_ATTR_LSTRIP),
            strips_right=bool(attributes & lib.LLAMA_TOKEN_ATTR_RSTRIP),
        )
