"""The vocabulary and the merges of a BPE tokenizer.json, checked once each. Runs no tokenizer."""

from itertools import repeat
from operator import add
from typing import Any

from backends.child import Refusal

MAX_MERGES = 700_000  # the most that is known, of Gemma 3: 514,906
NOT_A_PAIR = "tokenizer.json is damaged: a merge is not a pair of tokens."


def read_vocab(model: dict[str, Any]) -> dict[str, int]:
    """text -> id, no id twice. Looks at every token, so it is for one call."""
    vocab = model.get("vocab")
    if not isinstance(vocab, dict) or not set(map(type, vocab.values())) <= {int}:
        raise Refusal("tokenizer.json is damaged: its vocabulary is not a table of ids.")
    if len(set(vocab.values())) != len(vocab):
        raise Refusal("tokenizer.json is damaged: two tokens share an id.")
    return vocab


def read_merges(model: dict[str, Any], vocab: dict[str, int]) -> list[str]:
    """ "left right", best first. No side holds a space: a letter stands for it.

    Older files write "a b", newer ones ["a", "b"]. Each merge makes a token of two, so there are at most as many as
    there are places to cut the tokens.
    """
    listed = model.get("merges") or []
    if not isinstance(listed, list):
        raise Refusal("tokenizer.json is damaged: its merges are no list.")
    if len(listed) > min(MAX_MERGES, sum(map(len, vocab)) - len(vocab) + ("" in vocab)):
        raise Refusal(f"tokenizer.json is damaged: it holds {len(listed):,} merges, more than its tokens can come of.")
    if not listed:
        raise Refusal("tokenizer.json is damaged: it holds no merges.")
    merges = _texts(listed)
    _check_pairs(merges, vocab)
    return merges


def products(merges: list[str]) -> list[str]:
    """The token that each merge makes."""
    sides = " ".join(merges).split(" ")
    return list(map(add, sides[::2], sides[1::2]))


def _texts(listed: list[Any]) -> list[str]:
    kinds = set(map(type, listed))
    if kinds == {str}:
        return listed
    if kinds != {list}:
        raise Refusal(NOT_A_PAIR)
    try:
        return list(map(" ".join, listed))
    except TypeError:
        raise Refusal(NOT_A_PAIR) from None


def _check_pairs(merges: list[str], vocab: dict[str, int]) -> None:
    """No call per merge: there are up to half a million. The library that made the file ends with a panic on others."""
    sides = set(" ".join(merges).split(" "))
    if set(map(str.count, merges, repeat(" "))) != {1} or "" in sides:
        raise Refusal(NOT_A_PAIR)
    if not vocab.keys() >= sides or not vocab.keys() >= set(products(merges)):
        raise Refusal("tokenizer.json is damaged: a merge is of what is no token, or makes none.")
