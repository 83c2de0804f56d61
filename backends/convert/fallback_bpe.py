"""Reads a tokenizer.json that says in BPE what a SentencePiece model said: Llama 2, Mistral, Gemma, Phi-3.

llama.cpp merges by the score of the new token, so each token's score is the rank of its first merge, negated. The
conversion is tried out afterwards: a vocabulary whose merges have another order than its tokens is refused there.
"""

import re
from dataclasses import replace
from typing import Any

from backends.child import Refusal
from backends.convert.byte_level import NEVER_IN_TEXT
from backends.convert.merges import products, read_merges, read_vocab
from backends.convert.sentences import shown
from backends.convert.vocabulary import AddedToken, Lexicon, TokenType

OUTSIDERS = "The tokenizer is no SentencePiece model in BPE's clothes (tokenizer.json, {}); that is not supported yet."
SPACE = "\u2581"  # stands for a space in every token
# what the reader of tool calls must see, although it is no text
GEMMA4_SHOWN = frozenset(
    ("<|channel>", "<channel|>", "<|tool_call>", "<tool_call|>", "<|tool_response>", "<tool_response|>", '<|"|>')
)
BYTE = re.compile(r"<0x[0-9A-F]{2}>")
ADDED_SCORE, UNUSED_SCORE = -1000.0, -10000.0  # of llama.cpp's converter; neither is ever merged to


def is_fallback_bpe(document: dict[str, Any]) -> bool:
    model = document.get("model")
    return isinstance(model, dict) and bool(model.get("byte_fallback"))


def read_fallback_bpe(document: dict[str, Any], added: dict[int, AddedToken], size: int) -> Lexicon:
    """size: rows of the embedding. Added tokens beyond it can never be used and are left out. Raises Refusal."""
    return _read(document, added, size)[0]


def read_gemma4(document: dict[str, Any], added: dict[int, AddedToken], size: int) -> Lexicon:
    """The same with its merges, which llama.cpp has a tokenizer of its own for (conversion/gemma.py, `Gemma4Model`)."""
    lexicon, merges = _read(document, added, size)
    types = [
        TokenType.USER_DEFINED if text in GEMMA4_SHOWN else type_
        for text, type_ in zip(lexicon.tokens, lexicon.types, strict=True)
    ]
    if lexicon.adds_space:
        raise Refusal(OUTSIDERS.format("a space before every text, for Gemma 4"))
    return replace(lexicon, model="gemma4", pre="gemma4", types=types, merges=merges)


def _read(document: dict[str, Any], added: dict[int, AddedToken], size: int) -> tuple[Lexicon, list[str]]:
    model = document["model"]
    vocab = _checked_vocab(model, size)
    merges = read_merges(model, vocab)
    adds_space, notes = _space(document)
    tokens, types, scores = _tokens(vocab, _ranks(merges), model.get("unk_token"), size)
    put_added(tokens, types, scores, added)
    return Lexicon("llama", "default", tokens, types, scores=scores, adds_space=adds_space, notes=notes), merges


def _checked_vocab(model: dict[str, Any], size: int) -> dict[str, int]:
    if (kind := model.get("type", "BPE")) != "BPE":
        raise Refusal(f"The tokenizer is of the kind {shown(kind)}; only BPE is supported.")
    for key in ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "ignore_merges"):
        if model.get(key):
            raise Refusal(OUTSIDERS.format(f"model.{key}"))
    vocab = read_vocab(model)
    # llama.cpp ends the process without them; Gemma has a letter for one byte, the tab, which serves as well
    needed = (byte for byte in range(256) if byte not in NEVER_IN_TEXT)
    if any(f"<0x{byte:02X}>" not in vocab and (byte > 0x7F or chr(byte) not in vocab) for byte in needed):
        raise Refusal(OUTSIDERS.format("a byte has no token"))
    if max(vocab.values()) >= size or min(vocab.values()) < 0:
        raise Refusal(f"The ids of the tokenizer and the {size} rows that the model has for tokens do not go together.")
    return vocab


def _ranks(merges: list[str]) -> dict[str, int]:
    """token -> the rank of the first merge that makes it."""
    last = len(merges) - 1
    return {token: last - i for i, token in enumerate(reversed(products(merges)))}


def _tokens(
    vocab: dict[str, int], ranks: dict[str, int], unknown: str | None, size: int
) -> tuple[list[str], list[TokenType], list[float]]:
    tokens = [f"[PAD{id_}]" for id_ in range(size)]
    types = [TokenType.UNUSED] * size
    scores = [UNUSED_SCORE] * size
    for text, id_ in vocab.items():
        tokens[id_] = text
        types[id_] = TokenType.BYTE if BYTE.fullmatch(text) else TokenType.NORMAL
        if text == unknown:
            types[id_] = TokenType.UNKNOWN
        scores[id_] = -float(ranks.get(text, len(ranks)))
    return tokens, types, scores


def put_added(tokens: list[str], types: list[TokenType], scores: list[float], added: dict[int, AddedToken]) -> None:
    """In place. The unknown token stays one, and a person's text knows no sign for a space."""
    for id_, token in added.items():
        if id_ >= len(tokens):
            continue
        tokens[id_] = token.text if token.is_special else token.text.replace(SPACE, " ")
        if types[id_] is not TokenType.UNKNOWN:
            types[id_] = token.type
        scores[id_] = ADDED_SCORE


def _space(document: dict[str, Any]) -> tuple[bool, tuple[str, ...]]:
    """Whether a text gets a space before it, from the two ways to write that down."""
    normalizer, splitter = document.get("normalizer"), document.get("pre_tokenizer")
    if splitter is None and _is_replace(normalizer):
        return False, ()
    if splitter is None and isinstance(normalizer, dict):
        steps = normalizer.get("normalizers")
        if isinstance(steps, list) and len(steps) == 2 and steps[0] == PREPEND and _is_replace(steps[1]):
            return True, ()
    if _is_replace(normalizer) and isinstance(splitter, dict):
        splitter = {key: value for key, value in splitter.items() if key != "invert" or value}
        if splitter == SPLIT:  # Gemma: there is no space left that could be split at
            return False, ()
    match splitter:
        case {"type": "Metaspace", "replacement": "\u2581", "split": False, **rest} if normalizer is None:
            adds_space = rest.get("prepend_scheme", "always") != "never"
            return adds_space, ((SECOND_SPACE,) if adds_space else ())
    raise Refusal(OUTSIDERS.format("normalizer, pre_tokenizer"))


PREPEND = {"type": "Prepend", "prepend": SPACE}
SPLIT = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious"}
SECOND_SPACE = "At a text that begins with a space, and after special tokens, llama.cpp adds a space of its own."


def _is_replace(normalizer: Any) -> bool:
    match normalizer:
        case {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}:
            return True
        case {"type": "Sequence", "normalizers": [only]}:
            return _is_replace(only)
    return False
