"""Logarithms of probabilities in OpenAI's two shapes. Tokens are bytes: half a character is shown as “�”."""

import codecs
from collections.abc import Sequence
from typing import Any

from backends.protocol import Chance, TokenLogprob

LEAST = -9999.0  # what OpenAI writes for probability zero: JSON has no infinity


class Ruler:
    """Where each token begins, in characters of the answer."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._length = 0

    def offset(self, piece: bytes) -> int:
        begin = self._length
        self._length += len(self._decoder.decode(piece))
        return begin


def chat_logprobs(tokens: Sequence[TokenLogprob]) -> dict[str, Any] | None:
    if not tokens:
        return None
    content = [
        {**_entry(token.piece, token.logprob), "top_logprobs": [_entry(c.piece, c.logprob) for c in token.alternatives]}
        for token in tokens
    ]
    return {"content": content, "refusal": None}


def completion_logprobs(
    tokens: Sequence[TokenLogprob], ruler: Ruler, first: bytes | None = None
) -> dict[str, Any] | None:
    """first: the token before them that has none, as the first one of a prompt."""
    before = [] if first is None else [first]
    if not tokens and not before:
        return None
    nothing = [None for _ in before]
    pieces = [*before, *(token.piece for token in tokens)]
    return {
        "tokens": list(map(_text, pieces)),
        "token_logprobs": [*nothing, *(max(token.logprob, LEAST) for token in tokens)],
        "top_logprobs": [*nothing, *(_top(token.alternatives) for token in tokens)],
        "text_offset": list(map(ruler.offset, pieces)),
    }


def _top(alternatives: Sequence[Chance]) -> dict[str, float]:
    """Best first; of two halves of characters that look the same the better one stays."""
    return {_text(c.piece): max(c.logprob, LEAST) for c in reversed(alternatives)}


def _entry(piece: bytes, logprob: float) -> dict[str, Any]:
    return {"token": _text(piece), "logprob": max(logprob, LEAST), "bytes": list(piece)}


def _text(piece: bytes) -> str:
    return piece.decode("utf-8", "replace")
