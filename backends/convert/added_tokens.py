"""The tokens that a checkpoint lists beside its model of words, wherever it lists them. Trusts no entry."""

from pathlib import Path
from typing import Any

from backends.child import Refusal
from backends.convert.files import read_json
from backends.convert.vocabulary import AddedToken

MAX_TOKENS = 1 << 21
# marked as ordinary in some checkpoints (llama.cpp conversion/base.py, does_token_look_special)
_ALWAYS_SPECIAL = ("<pad>", "<mask>", "<2mass>", "[@BOS@]")
_BRACKETS = (("<|", "|>"), ("<\uff5c", "\uff5c>"), ("<unused", ">"))


def added_in_json(document: dict[str, Any]) -> dict[int, AddedToken]:
    """id -> token, of tokenizer.json. Raises Refusal."""
    listed = document.get("added_tokens") or []
    if not isinstance(listed, list) or len(listed) > MAX_TOKENS:
        raise Refusal("tokenizer.json is damaged: its added tokens are no list of a usual length.")
    return {id_: token for entry in listed for id_, token in (_entry(entry, "tokenizer.json"),)}


def added_beside_model(folder: Path, settings: dict[str, Any]) -> dict[int, AddedToken]:
    """id -> token, for a tokenizer.model: added_tokens.json, then tokenizer_config.json, which says more."""
    added: dict[int, AddedToken] = {}
    if (folder / "added_tokens.json").exists():
        for text, id_ in read_json(folder / "added_tokens.json").items():
            added[id_] = _entry({"id": id_, "content": text}, "added_tokens.json")[1]
    decoder = settings.get("added_tokens_decoder") or {}
    if not isinstance(decoder, dict) or len(decoder) > MAX_TOKENS:
        raise Refusal("tokenizer_config.json is damaged: added_tokens_decoder is no table of a usual length.")
    for key, value in decoder.items():
        if not key.isdecimal() or len(key) > 9 or not isinstance(value, dict):
            raise Refusal("tokenizer_config.json is damaged: added_tokens_decoder is no table of ids.")
        id_, token = _entry({**value, "id": int(key)}, "tokenizer_config.json")
        added[id_] = token
    return added


def _entry(entry: Any, file: str) -> tuple[int, AddedToken]:
    match entry:
        case {"id": int(id_), "content": str(text)} if id_ >= 0 and not isinstance(id_, bool) and text:
            pass
        case _:
            raise Refusal(f"{file} is damaged: an added token has no id or no text.")
    if entry.get("single_word"):
        raise Refusal(f"The added token {text!r:.80} counts as a whole word only; that is not supported yet.")
    token = AddedToken(
        text,
        bool(entry.get("special")) or looks_special(text),
        bool(entry.get("lstrip")),
        bool(entry.get("rstrip")),
    )
    if not token.is_special and (token.swallows_left or token.swallows_right) and text != "</s>":
        raise Refusal(f"The added token {text!r:.80} swallows spaces around it; that is not supported yet.")
    return id_, token


def looks_special(text: str) -> bool:
    return text in _ALWAYS_SPECIAL or any(text.startswith(left) and text.endswith(right) for left, right in _BRACKETS)
