"""Reads a WordPiece tokenizer.json, as BERT and its kin have it, and knows which texts llama.cpp reads otherwise.

llama.cpp marks the beginning of a word, where the original marks what goes on (conversion/bert.py, `phantom`).
"""

import re
import unicodedata
from typing import Any

from backends.child import Refusal
from backends.convert.merges import read_vocab
from backends.convert.vocabulary import AddedToken, Lexicon, TokenType, WordCase

GOES_ON, BEGINS = "##", "\u2581"
OUTSIDERS = "The tokenizer is no WordPiece that llama.cpp has (tokenizer.json, {}); that is not supported yet."
MAX_WORD = 100  # letters; of a longer one the original makes one unknown token
LONG_WORD = re.compile(rf"\S{{{MAX_WORD + 1}}}")
DIFFERS = (
    f"In Korean and Indic scripts, and where words have more than {MAX_WORD} letters, some tokens are others than the "
    "original tokenizer's."
)


def is_wordpiece(document: dict[str, Any]) -> bool:
    model = document.get("model")
    return isinstance(model, dict) and model.get("type") == "WordPiece"


def read_wordpiece(document: dict[str, Any], added: dict[int, AddedToken], size: int) -> Lexicon:
    """size: rows of the embedding; ids without a token become unused ones. Raises Refusal."""
    model = document["model"]
    if model.get("continuing_subword_prefix", GOES_ON) != GOES_ON:
        raise Refusal(OUTSIDERS.format("model.continuing_subword_prefix"))
    if document.get("pre_tokenizer") != {"type": "BertPreTokenizer"}:
        raise Refusal(OUTSIDERS.format("pre_tokenizer"))
    tokens, types = _tokens(read_vocab(model), added, size)
    return Lexicon("bert", "default", tokens, types, word_case=_case(document), notes=(DIFFERS,))


def is_read_alike(text: str) -> bool:
    """Whether llama.cpp can give the original's tokens: it takes the first letter of what a character is made of, and
    drops all marks, not only those that take no place."""
    if LONG_WORD.search(text):
        return False
    rests = (unicodedata.normalize("NFD", each)[1:] for each in text)
    return not any(unicodedata.category(c) in ("Mc", "Me") for c in text) and all(
        unicodedata.category(c) == "Mn" for rest in rests for c in rest
    )


def _case(document: dict[str, Any]) -> WordCase:
    match document.get("normalizer"):
        case {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, **rest}:
            is_lowered, strips = rest.get("lowercase") is True, rest.get("strip_accents")
            return WordCase(is_lowered, is_lowered if strips is None else strips is True)
    raise Refusal(OUTSIDERS.format("normalizer"))


def _tokens(vocab: dict[str, int], added: dict[int, AddedToken], size: int) -> tuple[list[str], list[TokenType]]:
    if max(vocab.values(), default=0) >= size or min(vocab.values(), default=0) < 0:
        raise Refusal(f"The ids of the tokenizer and the {size} rows that the model has for tokens do not go together.")
    tokens = [f"[PAD{id_}]" for id_ in range(size)]
    types = [TokenType.UNUSED] * size
    for text, id_ in vocab.items():
        tokens[id_] = text.removeprefix(GOES_ON) if text.startswith(GOES_ON) else BEGINS + text
        types[id_] = TokenType.NORMAL
    for id_, token in added.items():
        if id_ < size:
            tokens[id_], types[id_] = token.text, token.type
    return tokens, types
