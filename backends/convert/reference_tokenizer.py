"""The checkpoint's own tokenizer, run by the library that it was made with. In a child only; runs no code of it.

Some texts are left out: those on which llama.cpp is known to differ in a way that its format cannot express.
"""

import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.child import Refusal
from backends.convert.added_tokens import added_in_json
from backends.convert.byte_level import missing_bytes, normalizer_steps
from backends.convert.fallback_bpe import SPACE, is_fallback_bpe
from backends.convert.files import read_json
from backends.convert.nasty_texts import NASTY_TEXTS
from backends.convert.pretokenizer import find
from backends.convert.sentencepiece_model import read_model
from backends.convert.tokenizer import MAX_TOKENIZER_BYTES
from backends.convert.vocabulary import AddedToken, TokenType

NUM_WORDS = 800
NUM_SPECIAL = 12


@dataclass(frozen=True, slots=True)
class ReferenceTokenizer:
    """encode: text -> ids, without the tokens around it."""

    encode: Callable[[str], list[int]]
    decode: Callable[[int], str]
    num_tokens: int
    special: tuple[str, ...]
    whole: tuple[str, ...]  # texts that are one token wherever they stand
    is_comparable: Callable[[str], bool]

    def texts(self) -> Iterator[str]:
        """What both tokenizers must agree on."""
        return filter(self.is_comparable, (*NASTY_TEXTS, *self._around_special()))

    def words(self) -> Iterator[str]:
        """Tokens of the vocabulary, common and rare, as texts."""
        for id_ in range(0, self.num_tokens, max(1, self.num_tokens // NUM_WORDS)):
            text = self.decode(id_)
            if text and "\ufffd" not in text and self.is_comparable(text):
                yield text

    def _around_special(self) -> Iterator[str]:
        for token in (*self.special[:NUM_SPECIAL], *self.whole[:NUM_SPECIAL]):
            yield from (token, f"Hello{token}world", f"one {token} two", f"{token}\nuser\n{token}{token}")


def read_reference(folder: Path) -> ReferenceTokenizer:
    """Raises Refusal when the library does not accept the checkpoint's file."""
    if (folder / "tokenizer.json").exists():
        settings = folder / "tokenizer_config.json"
        return _from_json(folder / "tokenizer.json", read_json(settings) if settings.exists() else {})
    return _from_model(folder / "tokenizer.model")


def _from_json(path: Path, settings: dict[str, Any]) -> ReferenceTokenizer:
    document = read_json(path, MAX_TOKENIZER_BYTES)
    added = added_in_json(document, settings)
    tokenizer = _loaded(path, added)
    return ReferenceTokenizer(
        encode=lambda text: list(tokenizer.encode(text, add_special_tokens=False).ids),
        decode=lambda id_: str(tokenizer.decode([id_], skip_special_tokens=False)),
        num_tokens=max(tokenizer.get_vocab().values(), default=-1) + 1,
        special=tuple(token.text for token in added.values() if token.is_special),
        whole=tuple(token.text for token in added.values() if not token.is_special),
        is_comparable=_comparable(document, added),
    )


def _loaded(path: Path, added: dict[int, AddedToken]) -> Any:
    """With the tokens that transformers adds from tokenizer_config.json."""
    from tokenizers import AddedToken as Token
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
        known = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
        more = [Token(t.text, special=t.is_special, normalized=False) for t in added.values() if t.text not in known]
        tokenizer.add_tokens(more)
        tokenizer.no_truncation()
        tokenizer.no_padding()
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as fault:  # the library's own class for whatever it does not like, and its panics
        raise Refusal(f"{path.name} is damaged: {fault!s:.200}. Download the checkpoint again.") from fault
    return tokenizer


def _from_model(path: Path) -> ReferenceTokenizer:
    """Special tokens are none of SentencePiece's business: a text that holds one is not asked."""
    from sentencepiece import SentencePieceProcessor

    model = read_model(path)
    processor = SentencePieceProcessor()
    try:
        processor.LoadFromFile(str(path))
    except (RuntimeError, OSError) as fault:
        raise Refusal(f"{path.name} is damaged. Download the checkpoint again.") from fault
    hidden = {TokenType.CONTROL, TokenType.UNKNOWN}
    if model.adds_space:  # llama.cpp adds one after such a piece, too
        hidden.add(TokenType.USER_DEFINED)
    special = [text for text, type_ in zip(model.tokens, model.types, strict=True) if type_ in hidden]
    return ReferenceTokenizer(
        encode=lambda text: list(processor.EncodeAsIds(text)),
        decode=lambda id_: "" if processor.IsControl(id_) else str(processor.DecodeIds([id_])),
        num_tokens=processor.GetPieceSize(),
        special=(),
        whole=(),
        is_comparable=lambda text: SPACE not in text and not any(token in text for token in special),
    )


def _comparable(document: dict[str, Any], added: dict[int, AddedToken]) -> Callable[[str], bool]:
    """Whether llama.cpp can give the tokens of a text at all. What it cannot is in the notes of the vocabulary."""
    is_composed = normalizer_steps(document) == [{"type": "NFC"}]
    has_words = not is_fallback_bpe(document)
    capitals_differ = has_words and find(document.get("pre_tokenizer")).capitals_differ
    swallows = any(token.swallows_left or token.swallows_right for token in added.values())
    splitter = document.get("pre_tokenizer") or {}
    is_metaspace = splitter.get("type") == "Metaspace" and splitter.get("prepend_scheme") != "never"
    special = [token.text for token in added.values()] if swallows or is_metaspace else []
    missing = missing_bytes(document["model"]["vocab"]) if has_words else frozenset()

    def is_comparable(text: str) -> bool:
        if is_composed and not unicodedata.is_normalized("NFC", text):
            return False
        if capitals_differ and any(is_marked(c) for c in text):
            return False
        if not has_words and SPACE in text:  # as a letter of the text's own
            return False
        if missing and not missing.isdisjoint(text.encode()):  # what is around them merges in the original
            return False
        if is_metaspace and text.startswith(" "):
            return False
        return not any(token in text for token in special)

    return is_comparable


def is_marked(character: str) -> bool:
    """A capital beyond ASCII, or a combining mark."""
    return not character.isascii() and unicodedata.category(character) in ("Lu", "Lt", "Mn", "Mc", "Me")
