"""Reads a byte-level BPE tokenizer.json: tokens, merges and the name of its splitter. Runs no tokenizer."""

from typing import Any

from backends.child import Refusal
from backends.convert.merges import read_merges, read_vocab
from backends.convert.pretokenizer import find, recognise
from backends.convert.sentences import shown
from backends.convert.vocabulary import AddedToken, Lexicon, TokenType

OUTSIDERS = "The tokenizer is not a byte-level BPE (tokenizer.json, {}); that is not supported yet."
CAPITALS = "Words with accented capitals or combining marks may become other tokens than in the original tokenizer."
LOST = "Characters that the original tokenizer makes its unknown token of ({}) are left out of a text instead."
NEVER_IN_TEXT = frozenset((0xC0, 0xC1, *range(0xF5, 0x100)))  # bytes that no UTF-8 holds


def read_byte_level(document: dict[str, Any], added: dict[int, AddedToken], size: int) -> Lexicon:
    """size: rows of the embedding; ids without a token become unused ones. Raises Refusal."""
    model = _bpe(document)
    vocab = read_vocab(model)
    tokens, types = _tokens(vocab, added, size)
    notes: tuple[str, ...] = (CAPITALS,) if find(document.get("pre_tokenizer")).capitals_differ else ()
    if (unknown := model.get("unk_token")) is not None and missing_bytes(vocab) - NEVER_IN_TEXT:
        notes = (*notes, LOST.format(shown(unknown)))
    return Lexicon(
        model="gpt2",
        pre=recognise(document.get("pre_tokenizer"), bool(model.get("ignore_merges"))),
        tokens=tokens,
        types=types,
        merges=read_merges(model, vocab),
        notes=notes,
    )


def missing_bytes(vocab: dict[str, int]) -> frozenset[int]:
    """Those that no token stands for: the original drops them, and so does llama.cpp.

    Bytes that a tokenizer's training never met are missing in SmolLM2, GPT-NeoX, StarCoder and others.
    """
    return frozenset(byte for byte, letter in byte_alphabet().items() if letter not in vocab)


def _bpe(document: dict[str, Any]) -> dict[str, Any]:
    model = document.get("model")
    if not isinstance(model, dict):
        raise Refusal("tokenizer.json is damaged: it holds no model.")
    if (kind := model.get("type", "BPE")) != "BPE":
        raise Refusal(f"The tokenizer is of the kind {shown(kind)}; only BPE is supported.")
    for key in ("byte_fallback", "dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(key):
            raise Refusal(OUTSIDERS.format(f"model.{key}"))
    if normalizer_steps(document) not in ([], [{"type": "NFC"}]):
        raise Refusal(OUTSIDERS.format("normalizer"))
    return model


def normalizer_steps(document: dict[str, Any]) -> list[Any]:
    """Qwen's is NFC: llama.cpp leaves text as it is, and most text is NFC already."""
    normalizer = document.get("normalizer")
    if isinstance(normalizer, dict) and normalizer.get("type") == "Sequence":
        steps = normalizer.get("normalizers")
        return steps if isinstance(steps, list) else [None]
    return [] if normalizer is None else [normalizer]


def byte_alphabet() -> dict[int, str]:
    """The characters that stand for the 256 bytes, as in GPT-2's `bytes_to_unicode`."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = (byte for byte in range(256) if byte not in printable)
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + i) for i, byte in enumerate(others)}


def _tokens(vocab: dict[str, int], added: dict[int, AddedToken], size: int) -> tuple[list[str], list[TokenType]]:
    highest = max(vocab.values(), default=0)
    if highest >= size or min(vocab.values(), default=0) < 0:
        raise Refusal(f"The tokenizer knows token {highest}, but the model has only {size} rows for tokens.")
    tokens = [f"[PAD{id_}]" for id_ in range(size)]
    types = [TokenType.UNUSED] * size
    for text, id_ in vocab.items():
        tokens[id_], types[id_] = text, TokenType.NORMAL
    for id_, token in added.items():
        if id_ >= size:  # no model can read it
            continue
        if types[id_] is TokenType.NORMAL and tokens[id_] != token.text:
            raise Refusal("tokenizer.json is damaged: two tokens share an id.")
        tokens[id_], types[id_] = token.text, token.type
    return tokens, types
