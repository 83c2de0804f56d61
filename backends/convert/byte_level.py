"""Reads a byte-level BPE tokenizer.json: tokens, merges and the name of its splitter. Runs no tokenizer."""

from typing import Any

from backends.child import Refusal
from backends.convert.pretokenizer import find, recognise
from backends.convert.sentences import shown
from backends.convert.vocabulary import AddedToken, Lexicon, TokenType

MAX_MERGES = 700_000  # the most that is known, of Gemma 3: 514,906
OUTSIDERS = "The tokenizer is not a byte-level BPE (tokenizer.json, {}); that is not supported yet."
CAPITALS = "Words with accented capitals or combining marks may become other tokens than in the original tokenizer."


def read_byte_level(document: dict[str, Any], added: dict[int, AddedToken], size: int) -> Lexicon:
    """size: rows of the embedding; ids without a token become unused ones. Raises Refusal."""
    model = _bpe(document)
    tokens, types = _tokens(model["vocab"], added, size)
    return Lexicon(
        model="gpt2",
        pre=recognise(document.get("pre_tokenizer"), bool(model.get("ignore_merges"))),
        tokens=tokens,
        types=types,
        merges=["{} {}".format(*pair) for pair in read_merges(model)],
        notes=(CAPITALS,) if find(document.get("pre_tokenizer")).capitals_differ else (),
    )


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
    if any(symbol not in read_vocab(model) for symbol in byte_alphabet()):
        raise Refusal(OUTSIDERS.format("a byte has no token"))
    return model


def normalizer_steps(document: dict[str, Any]) -> list[Any]:
    """Qwen's is NFC: llama.cpp leaves text as it is, and most text is NFC already."""
    normalizer = document.get("normalizer")
    if isinstance(normalizer, dict) and normalizer.get("type") == "Sequence":
        steps = normalizer.get("normalizers")
        return steps if isinstance(steps, list) else [None]
    return [] if normalizer is None else [normalizer]


def read_vocab(model: dict[str, Any]) -> dict[str, int]:
    vocab = model.get("vocab")
    if not isinstance(vocab, dict) or not all(type(id_) is int for id_ in vocab.values()):
        raise Refusal("tokenizer.json is damaged: its vocabulary is not a table of ids.")
    return vocab


def byte_alphabet() -> list[str]:
    """The characters that stand for the 256 bytes, as in GPT-2's `bytes_to_unicode`."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = (b for b in range(256) if b not in printable)
    return [chr(b) for b in sorted(printable)] + [chr(256 + i) for i, _ in enumerate(others)]


def _tokens(vocab: dict[str, int], added: dict[int, AddedToken], size: int) -> tuple[list[str], list[TokenType]]:
    by_id = {id_: text for text, id_ in vocab.items()}
    if len(by_id) != len(vocab):
        raise Refusal("tokenizer.json is damaged: two tokens share an id.")
    highest = max([*by_id, *added])
    if highest >= size or min(by_id) < 0:
        raise Refusal(f"The tokenizer knows token {highest}, but the model has only {size} rows for tokens.")
    tokens: list[str] = []
    types: list[TokenType] = []
    for id_ in range(size):
        if token := added.get(id_):
            tokens.append(token.text)
            types.append(token.type)
        else:
            tokens.append(by_id.get(id_, f"[PAD{id_}]"))
            types.append(TokenType.NORMAL if id_ in by_id else TokenType.UNUSED)
    return tokens, types


def read_merges(model: dict[str, Any]) -> list[tuple[str, str]]:
    """Best first. Older files write "a b", newer ones ["a", "b"]. No side holds a space: a letter stands for it.

    Each merge makes a token of two, so there are at most as many as there are places to cut the tokens.
    """
    merges = []
    listed = model.get("merges") or []
    if not isinstance(listed, list):
        raise Refusal("tokenizer.json is damaged: its merges are no list.")
    if len(listed) > min(MAX_MERGES, sum(len(token) - 1 for token in read_vocab(model) if token)):
        raise Refusal(f"tokenizer.json is damaged: it holds {len(listed):,} merges, more than its tokens can come of.")
    for merge in listed:
        pair = merge.split(" ") if isinstance(merge, str) else merge
        if (
            not isinstance(pair, list)
            or len(pair) != 2
            or any(not isinstance(s, str) or not s or " " in s for s in pair)
        ):
            raise Refusal("tokenizer.json is damaged: a merge is not a pair of tokens.")
        merges.append((pair[0], pair[1]))
    if not merges:
        raise Refusal("tokenizer.json is damaged: it holds no merges.")
    return merges
