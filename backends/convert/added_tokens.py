"""The tokens that a checkpoint lists beside its model of words, wherever it lists them. Trusts no entry."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from backends.child import Refusal
from backends.convert.files import read_json
from backends.convert.vocabulary import AddedToken

MAX_TOKENS = 1 << 21
MAX_NAMED = 4096  # under a name of their own in tokenizer_config.json
NAMES = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
EXTRA = ("extra_special_tokens", "additional_special_tokens")  # a list, or a table by name
# marked as ordinary in some checkpoints (llama.cpp conversion/base.py, does_token_look_special)
_ALWAYS_SPECIAL = ("<pad>", "<mask>", "<2mass>", "[@BOS@]")
_BRACKETS = (("<|", "|>"), ("<\uff5c", "\uff5c>"), ("<unused", ">"))


def added_in_json(document: dict[str, Any], settings: dict[str, Any]) -> dict[int, AddedToken]:
    """id -> token, of tokenizer.json, then what transformers adds to it from tokenizer_config.json. Raises Refusal.

    The libraries do not take the ids from the files: a token of the model's own vocabulary keeps its id, any other
    gets the next free one.
    """
    listed = document.get("added_tokens") or []
    if not isinstance(listed, list) or len(listed) > MAX_TOKENS:
        raise Refusal("tokenizer.json is damaged: its added tokens are no list of a usual length.")
    model = document.get("model")
    vocab = model.get("vocab") if isinstance(model, dict) else None
    ids = _Ids(vocab if isinstance(vocab, dict) else {})
    for entry in listed:
        ids.put(_entry(entry, "tokenizer.json")[1])
    for token in added_in_settings(settings, ids.by_text):
        ids.put(token)
    return ids.tokens


def added_in_settings(settings: dict[str, Any], known: Collection[str]) -> list[AddedToken]:
    """What transformers adds from tokenizer_config.json to the texts that are known, in its order. Raises Refusal."""
    decoder = [token for _, token in sorted(_decoder(settings), key=lambda pair: pair[0])]
    told = {token.text for token in decoder}
    return decoder + [token for token in _named(settings) if token.text not in known and token.text not in told]


class _Ids:
    """Numbers added tokens (tokenizers, `AddedVocabulary::add_tokens`)."""

    def __init__(self, vocab: dict[str, Any]):
        self.tokens: dict[int, AddedToken] = {}
        self.by_text: dict[str, int] = {}
        self._vocab = vocab
        self._next = len(vocab)

    def put(self, token: AddedToken) -> None:
        """One that is there already takes the new one's properties."""
        id_ = self.by_text.get(token.text, self._vocab.get(token.text))
        if type(id_) is not int or id_ < 0:
            id_ = self._next
        self.tokens[id_] = token
        self.by_text[token.text] = id_
        self._next = max(self._next, id_ + 1)


def added_beside_model(folder: Path, settings: dict[str, Any]) -> dict[int, AddedToken]:
    """id -> token, for a tokenizer.model: added_tokens.json, then tokenizer_config.json, which says more."""
    added: dict[int, AddedToken] = {}
    if (folder / "added_tokens.json").exists():
        for text, id_ in read_json(folder / "added_tokens.json").items():
            token = _entry({"id": id_, "content": text}, "added_tokens.json")[1]
            if added.setdefault(id_, token) is not token:
                raise Refusal("added_tokens.json is damaged: two tokens share an id.")
    return added | dict(_decoder(settings))


def _decoder(settings: dict[str, Any]) -> Iterator[tuple[int, AddedToken]]:
    decoder = settings.get("added_tokens_decoder") or {}
    if not isinstance(decoder, dict) or len(decoder) > MAX_TOKENS:
        raise Refusal("tokenizer_config.json is damaged: added_tokens_decoder is no table of a usual length.")
    for key, value in decoder.items():
        if not key.isdecimal() or len(key) > 9 or not isinstance(value, dict):
            raise Refusal("tokenizer_config.json is damaged: added_tokens_decoder is no table of ids.")
        yield _entry({**value, "id": int(key)}, "tokenizer_config.json")


def _named(settings: dict[str, Any]) -> Iterator[AddedToken]:
    """Those with a role, which transformers makes special tokens of."""
    listed = [settings.get(f"{name}_token") for name in NAMES]
    for key in EXTRA:
        more = settings.get(key)
        listed += (more if isinstance(more, list) else list(more.values()) if isinstance(more, dict) else [])[
            :MAX_NAMED
        ]
    for entry in listed:
        content = entry.get("content") if isinstance(entry, dict) else entry
        if isinstance(content, str) and content:
            yield AddedToken(content, is_special=True)


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
